# shellcheck shell=bash
# Sourced by the start and stop scripts: home of the node, outside the installation.
if [ -z "$MESH_HOME" ]; then
    MESH_HOME="@HOME@"
fi
export MESH_HOME
