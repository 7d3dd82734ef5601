# find_package(mdp) gives mdp::shm, the headers with which a C++17 or C99 program reads the provider's shared memory, and
# where it was built mdp::shm_c, the same in C as a shared library for other languages.
include("${CMAKE_CURRENT_LIST_DIR}/mdpTargets.cmake")
set(mdp_shm_FOUND TRUE)
include("${CMAKE_CURRENT_LIST_DIR}/mdpLibraryTargets.cmake" OPTIONAL RESULT_VARIABLE mdp_shm_c_FOUND)
foreach(component IN LISTS mdp_FIND_COMPONENTS)
  if(mdp_FIND_REQUIRED_${component} AND NOT mdp_${component}_FOUND)
    set(mdp_FOUND FALSE)
    set(mdp_NOT_FOUND_MESSAGE "mdp has no component '${component}' here; there are: shm, and where it was built shm_c")
  endif()
endforeach()
