// C++ exceptions to the hierarchy of mdp.errors, which is written in Python so that pure-Python code shares
// it.
#include <nanobind/nanobind.h>

#include "bindings.hpp"
#include "mdp/core/error.hpp"
#include "text.hpp"

namespace nb = nanobind;

namespace mdp::bindings {
namespace {

// An instance of `mdp.errors.<name>` that says what `error` says. (PyErr_SetString would decode strictly.)
nb::object made(const char* name, const std::exception& error) {
  return nb::module_::import_("mdp.errors").attr(name)(std::string_view(error.what()));
}

void raise(const nb::object& error) { PyErr_SetObject(error.type().ptr(), error.ptr()); }

void translate(const std::exception_ptr& pointer, void*) {
  try {
    std::rethrow_exception(pointer);
  } catch (const ConfigError& error) {
    raise(made("ConfigError", error));
  } catch (const ConnectError& error) {
    const nb::object unreachable = made("ConnectError", error);
    unreachable.attr("retry_after_s") = error.retry_after_s();
    raise(unreachable);
  } catch (const SegmentError& error) {
    raise(made("SegmentError", error));
  } catch (const Error& error) {
    raise(made("MdpError", error));
  }
}

}  // namespace

void bind_errors(nb::module_&) { nb::register_exception_translator(translate); }

}  // namespace mdp::bindings
