// C++ exceptions to the hierarchy of mdp.errors, which is written in Python so that pure-Python code shares
// it.
#include <nanobind/nanobind.h>

#include "bindings.hpp"
#include "mdp/core/error.hpp"
#include "text.hpp"

namespace nb = nanobind;

namespace mdp::bindings {
namespace {

// Sets the Python error `mdp.errors.<name>`. (PyErr_SetString would decode strictly.)
void raise(const char* name, const std::exception& error) {
  const nb::object type = nb::module_::import_("mdp.errors").attr(name);
  PyErr_SetObject(type.ptr(), type(std::string_view(error.what())).ptr());
}

void translate(const std::exception_ptr& pointer, void*) {
  try {
    std::rethrow_exception(pointer);
  } catch (const ConfigError& error) {
    raise("ConfigError", error);
  } catch (const SegmentError& error) {
    raise("SegmentError", error);
  } catch (const Error& error) {
    raise("MdpError", error);
  }
}

}  // namespace

void bind_errors(nb::module_&) { nb::register_exception_translator(translate); }

}  // namespace mdp::bindings
