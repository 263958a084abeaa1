# Writes build_info.h; run at every build, rewrites only when something changed.
execute_process(COMMAND git -C ${SOURCE} describe --always --dirty --abbrev=12 OUTPUT_VARIABLE commit
                OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
if(failed)
  set(commit unknown)
endif()
file(CONFIGURE OUTPUT ${OUT} @ONLY CONTENT "#pragma once
inline constexpr const char kBuildVersion[] = \"${VERSION}\";
inline constexpr const char kBuildCommit[] = \"${commit}\";
")
