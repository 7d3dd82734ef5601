// C++ exceptions to the hierarchy of mdp.errors, which is written in Python so that pure-Python code shares
// it.
#include <nanobind/nanobind.h>

#include "bindings.hpp"
#include "mdp/core/error.hpp"

namespace nb = nanobind;

namespace mdp::bindings {
namespace {

// Sets the Python error `mdp.errors.<name>`.
void raise(const char* name, const std::exception& error) {
  const nb::object type = nb::module_::import_("mdp.errors").attr(name);
  PyErr_SetString(type.ptr(), error.what());
}

void translate(const std::exception_ptr& pointer, void*) {
  try {
    std::rethrow_exception(pointer);
  } catch (const ConfigError& error) {
    raise("ConfigError", error);
  } catch (const ConnectError& error) {
    const nb::object type = nb::module_::import_("mdp.errors").attr("ConnectError");
    const nb::object made = type(error.what());
    made.attr("retry_after_s") = error.retry_after_s();
    PyErr_SetObject(type.ptr(), made.ptr());
  } catch (const SegmentError& error) {
    raise("SegmentError", error);
  } catch (const Error& error) {
    raise("MdpError", error);
  }
}

}  // namespace

void bind_errors(nb::module_&) { nb::register_exception_translator(translate); }

}  // namespace mdp::bindings
