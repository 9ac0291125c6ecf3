# Include this file to get mpflags::openfeature, the provider compiled with your build's OpenFeature SDK and abseil.
#
# Name the SDK with
#   OPENFEATURE_CPP_TARGET     its target, by default openfeature::openfeature; or
#   OPENFEATURE_CPP_INCLUDE    the folder with openfeature/provider.h, and
#   OPENFEATURE_CPP_LIBRARIES  its libraries; abseil's are added.
# mpflags::cpp must exist, from find_package(mpflags) or from bindings/cpp.

set(OPENFEATURE_CPP_TARGET openfeature::openfeature CACHE STRING "Target of OpenFeature's C++ SDK")
set(OPENFEATURE_CPP_INCLUDE "" CACHE PATH "Folder of the headers of OpenFeature's C++ SDK")
set(OPENFEATURE_CPP_LIBRARIES "" CACHE STRING "Libraries of OpenFeature's C++ SDK")

if(NOT TARGET mpflags::cpp)
  message(FATAL_ERROR "mpflags: the target mpflags::cpp does not exist: call find_package(mpflags) first")
endif()

add_library(mpflags_openfeature STATIC "${CMAKE_CURRENT_LIST_DIR}/provider.cpp")
add_library(mpflags::openfeature ALIAS mpflags_openfeature)
set_target_properties(mpflags_openfeature PROPERTIES POSITION_INDEPENDENT_CODE ON)
target_compile_features(mpflags_openfeature PUBLIC cxx_std_17)
target_link_libraries(mpflags_openfeature PUBLIC mpflags::cpp)
# In the source tree, provider.h is in a separate folder; once installed, it is beside the other headers.
if(EXISTS "${CMAKE_CURRENT_LIST_DIR}/include")
  target_include_directories(mpflags_openfeature PUBLIC "${CMAKE_CURRENT_LIST_DIR}/include")
endif()

if(OPENFEATURE_CPP_INCLUDE)
  if(NOT EXISTS "${OPENFEATURE_CPP_INCLUDE}/openfeature/provider.h")
    message(FATAL_ERROR "mpflags: OPENFEATURE_CPP_INCLUDE has no openfeature/provider.h: ${OPENFEATURE_CPP_INCLUDE}")
  endif()
  if(NOT TARGET absl::status)
    find_package(absl REQUIRED)
  endif()
  find_package(Threads REQUIRED)
  target_include_directories(mpflags_openfeature SYSTEM PUBLIC "${OPENFEATURE_CPP_INCLUDE}")
  target_link_libraries(mpflags_openfeature PUBLIC
    ${OPENFEATURE_CPP_LIBRARIES} absl::status absl::statusor Threads::Threads)
elseif(TARGET "${OPENFEATURE_CPP_TARGET}")
  target_link_libraries(mpflags_openfeature PUBLIC "${OPENFEATURE_CPP_TARGET}")
else()
  message(FATAL_ERROR "mpflags: the provider needs OpenFeature's C++ SDK: there is no target ${OPENFEATURE_CPP_TARGET} "
    "(OPENFEATURE_CPP_TARGET), and OPENFEATURE_CPP_INCLUDE is not set")
endif()
