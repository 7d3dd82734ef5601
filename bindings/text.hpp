// std::string and std::string_view between C++ and Python, in place of nanobind's own casters
// (nanobind/stl/string.h and string_view.h; tests/lint refuses those here). nanobind decodes strictly, so
// that one byte of a venue that is no UTF-8 raises UnicodeDecodeError wherever a string crosses. Here no text
// can fail to cross:
//   to Python    bytes that are no UTF-8 become U+FFFD
//   from Python  half a surrogate pair, which is no character, becomes "?"
#pragma once

#include <nanobind/nanobind.h>

#include <string>
#include <string_view>

namespace mdp::bindings {

// A new str; null, with the Python error set, only without memory.
inline nanobind::handle to_str(std::string_view text) noexcept {
  return PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "replace");
}

}  // namespace mdp::bindings

namespace nanobind::detail {

template <class Text>
struct mdp_text_caster {
  NB_TYPE_CASTER(Text, const_name("str"))

  bool from_python(handle source, uint32_t, cleanup_list*) noexcept {
    if (!PyUnicode_Check(source.ptr())) return false;
    Py_ssize_t size = 0;
    const char* text = PyUnicode_AsUTF8AndSize(source.ptr(), &size);
    if (text == nullptr) {
      PyErr_Clear();
      encoded_ = steal(PyUnicode_AsEncodedString(source.ptr(), "utf-8", "replace"));
      if (!encoded_.is_valid()) {
        PyErr_Clear();
        return false;
      }
      text = PyBytes_AsString(encoded_.ptr());
      size = PyBytes_Size(encoded_.ptr());
    }
    value = Text(text, static_cast<std::size_t>(size));
    return true;
  }

  static handle from_cpp(std::string_view text, rv_policy, cleanup_list*) noexcept {
    return mdp::bindings::to_str(text);
  }

 private:
  object encoded_;  // what `value` looks at, where the str itself has no UTF-8
};

template <>
struct type_caster<std::string> : mdp_text_caster<std::string> {};
template <>
struct type_caster<std::string_view> : mdp_text_caster<std::string_view> {};

}  // namespace nanobind::detail
