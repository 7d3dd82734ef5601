// Settings: which fields of a struct a configuration may set, by the names that the YAML has for them.
//
// A struct that is configured has a static function that names them:
//
//   struct Example {
//     std::chrono::milliseconds wait_ms{250};
//
//     template <class Visit>
//     static void visit_settings(Visit&& visit) {
//       MDP_SETTING(Example, wait_ms);
//     }
//   };
//
// The bindings make its attributes in Python from that, mdp/configuring/native.py sets them from the keys of
// the same names, and mdp/configuring/config.py reads the defaults from here. So a field has one name and one
// default, and a new one touches its struct, the model in config.py and the place where it is used.
#pragma once

#define MDP_SETTING(Struct, name) visit(#name, &Struct::name)
