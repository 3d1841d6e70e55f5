# shellcheck shell=bash
# Sourced by the start script: the account root switches to.
MESH_USER="@USER_FILE_USER@"

export MESH_USER
