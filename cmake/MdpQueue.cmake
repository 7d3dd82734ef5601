# Chooses the SPSC queue behind the alias in mdp/queue/spsc_queue.hpp, by MDP_QUEUE:
#   auto     rigtorp's where it is found, else our own
#   rigtorp  rigtorp's, an error where it is not found
#   own      our own
# rigtorp's comes as a CMake package (Conan, vcpkg) or as the one header; mdp::queue then carries the definition
# MDP_HAVE_RIGTORP_SPSC=1 and the path, as a system path because g++ 12 warns there (-Winterference-size).
if(NOT MDP_QUEUE MATCHES "^(auto|rigtorp|own)$")
  message(FATAL_ERROR "MDP_QUEUE is '${MDP_QUEUE}'; it can be auto, rigtorp or own")
endif()

set(mdp_rigtorp_include "")
if(NOT MDP_QUEUE STREQUAL "own")
  find_package(SPSCQueue CONFIG QUIET)
  foreach(target SPSCQueue::SPSCQueue spscqueue::spscqueue)
    if(TARGET ${target} AND NOT mdp_rigtorp_include)
      set(mdp_rigtorp_include $<TARGET_PROPERTY:${target},INTERFACE_INCLUDE_DIRECTORIES>)
    endif()
  endforeach()
  if(NOT mdp_rigtorp_include)
    find_path(MDP_RIGTORP_INCLUDE_DIR rigtorp/SPSCQueue.h)
    mark_as_advanced(MDP_RIGTORP_INCLUDE_DIR)
    if(MDP_RIGTORP_INCLUDE_DIR)
      set(mdp_rigtorp_include "${MDP_RIGTORP_INCLUDE_DIR}")
    endif()
  endif()
endif()

if(mdp_rigtorp_include)
  get_target_property(type mdp_queue TYPE)
  set(scope PUBLIC)
  if(type STREQUAL "INTERFACE_LIBRARY")
    set(scope INTERFACE)
  endif()
  target_compile_definitions(mdp_queue ${scope} MDP_HAVE_RIGTORP_SPSC=1)
  target_include_directories(mdp_queue SYSTEM ${scope} "${mdp_rigtorp_include}")
  message(STATUS "SPSC queue: rigtorp")
elseif(MDP_QUEUE STREQUAL "rigtorp")
  message(FATAL_ERROR "MDP_QUEUE is 'rigtorp', but rigtorp/SPSCQueue.h was not found; "
    "give its folder with -DMDP_RIGTORP_INCLUDE_DIR=, or take MDP_QUEUE=own")
else()
  message(STATUS "SPSC queue: own")
endif()
