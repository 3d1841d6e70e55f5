#!/usr/bin/env bash
# Stops Bitbucket.

BIN_DIR=$(dirname "$(readlink -f "$0")")
# shellcheck source=/dev/null
. "$BIN_DIR/set-bitbucket-home.sh"
export BITBUCKET_HOME

exec "$BIN_DIR/_stop-webapp.sh"
