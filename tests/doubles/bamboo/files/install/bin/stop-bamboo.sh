#!/usr/bin/env bash
# Stops Bamboo: asks Tomcat to shut down, and ends the process when that takes longer than 20 seconds.

here=$(dirname "$(readlink -f "$0")")

exec "$here/shutdown.sh" 20 -force
