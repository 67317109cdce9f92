# Writes OUT with the commit that the program is built from; only when it has changed, so that
# nothing is compiled again without need. Run as a script at each build.
execute_process(COMMAND git -C ${SOURCE} describe --always --dirty --abbrev=10
                OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE failed ERROR_QUIET)
if(NOT failed EQUAL 0)
  set(commit "no commit known")
endif()
file(CONFIGURE OUTPUT ${OUT} CONTENT "#define GAVEL_COMMIT \"@commit@\"\n" @ONLY)
