#!/usr/bin/env bash
# Stops Crowd: asks Tomcat to shut down, and ends the process when that takes longer than 20 seconds.

here=$(dirname "$(readlink -f "$0")")
cd "$here/apache-tomcat/bin" || exit 1

exec ./shutdown.sh 20 -force
