# Install rules of mdp::shm: headers, CMake package and pkg-config file, and where it is built libmdp_shm, mdp::shm_c.
#   component shm     <prefix>/{include/mdp/shm, lib, lib/cmake/mdp, lib/pkgconfig}   for `cmake --install`
#   component python  the same below <site-packages>/mdp/, inside the wheel; `mdp --cmake-dir` prints the middle one
include(CMakePackageConfigHelpers)
write_basic_package_version_file("${PROJECT_BINARY_DIR}/mdpConfigVersion.cmake" COMPATIBILITY SameMinorVersion
  ARCH_INDEPENDENT)

function(mdp_install_shm component prefix export)
  set(include "${prefix}${CMAKE_INSTALL_INCLUDEDIR}")
  set(package "${prefix}lib/cmake/mdp")
  install(TARGETS mdp_shm EXPORT ${export} COMPONENT ${component}
    FILE_SET HEADERS DESTINATION "${include}" COMPONENT ${component}
    INCLUDES DESTINATION "${include}")
  install(EXPORT ${export} NAMESPACE mdp:: FILE mdpTargets.cmake DESTINATION "${package}" COMPONENT ${component})
  install(FILES "${PROJECT_SOURCE_DIR}/cmake/mdpConfig.cmake" "${PROJECT_BINARY_DIR}/mdpConfigVersion.cmake"
    DESTINATION "${package}" COMPONENT ${component})
  install(FILES "${PROJECT_BINARY_DIR}/mdp-shm.pc" DESTINATION "${prefix}lib/pkgconfig" COMPONENT ${component})
  if(TARGET mdp_shm_c)
    install(TARGETS mdp_shm_c EXPORT ${export}Library LIBRARY DESTINATION "${prefix}lib"
      COMPONENT ${component} NAMELINK_COMPONENT ${component} INCLUDES DESTINATION "${include}")
    install(EXPORT ${export}Library NAMESPACE mdp:: FILE mdpLibraryTargets.cmake DESTINATION "${package}"
      COMPONENT ${component})
    install(FILES "${PROJECT_BINARY_DIR}/mdp-shm-c.pc" DESTINATION "${prefix}lib/pkgconfig" COMPONENT ${component})
  endif()
endfunction()

configure_file("${PROJECT_SOURCE_DIR}/cmake/mdp-shm.pc.in" "${PROJECT_BINARY_DIR}/mdp-shm.pc" @ONLY)
configure_file("${PROJECT_SOURCE_DIR}/cmake/mdp-shm-c.pc.in" "${PROJECT_BINARY_DIR}/mdp-shm-c.pc" @ONLY)
mdp_install_shm(shm "" mdpTargets)
if(MDP_BUILD_BINDINGS)
  mdp_install_shm(python "mdp/" mdpPythonTargets)
endif()
