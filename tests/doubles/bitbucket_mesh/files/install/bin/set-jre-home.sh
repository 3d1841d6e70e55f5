# shellcheck shell=bash
# Sourced by the start scripts: the Java that runs Mesh.
JAVA_HOME="@JAVA_HOME@"
JRE_HOME="$JAVA_HOME"
JAVA_BINARY="$JRE_HOME/bin/java"
export JAVA_HOME JRE_HOME JAVA_BINARY
