# find_package(mdp) gives mdp::shm, the headers with which a C++17 program reads the provider's shared memory.
include("${CMAKE_CURRENT_LIST_DIR}/mdpTargets.cmake")
set(mdp_shm_FOUND TRUE)
foreach(component IN LISTS mdp_FIND_COMPONENTS)
  if(mdp_FIND_REQUIRED_${component} AND NOT mdp_${component}_FOUND)
    set(mdp_FOUND FALSE)
    set(mdp_NOT_FOUND_MESSAGE "mdp has no component '${component}'; it has: shm")
  endif()
endforeach()
