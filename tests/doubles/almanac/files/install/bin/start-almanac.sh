#!/bin/sh
# Starts Almanac in the foreground.

INSTALL=$(dirname "$(dirname "$(readlink -f "$0")")")
exec "@JAVA_HOME@/bin/java" -Xms@MIN_MEMORY@ -Xmx@MAX_MEMORY@ -Dalmanac.home=@HOME@ -classpath "$INSTALL/lib/almanac.jar" @MAIN@
