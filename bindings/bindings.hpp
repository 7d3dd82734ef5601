// The bind_* functions of the module, one file each. Bindings translate and do no work.
#pragma once

#include <nanobind/nanobind.h>

namespace mdp::bindings {

void bind_errors(nanobind::module_& module);
void bind_log(nanobind::module_& module);
void bind_core(nanobind::module_& module);
void bind_book(nanobind::module_& module);
void bind_engine(nanobind::module_& module);
void bind_reader(nanobind::module_& module);
void bind_replay(nanobind::module_& module);

}  // namespace mdp::bindings
