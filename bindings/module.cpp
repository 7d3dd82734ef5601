// mdp._core: the C++ library as Python sees it.
#include "bindings.hpp"

NB_MODULE(_core, module) {
  module.doc() =
      "C++ core of mdp: engine, shared-memory reader, log. Use the names of the package mdp instead.";
  mdp::bindings::bind_errors(module);
  mdp::bindings::bind_log(module);
  mdp::bindings::bind_core(module);
  mdp::bindings::bind_book(module);
  mdp::bindings::bind_engine(module);
  mdp::bindings::bind_reader(module);
  mdp::bindings::bind_replay(module);
}
