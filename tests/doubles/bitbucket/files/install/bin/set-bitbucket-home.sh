# shellcheck shell=bash
# Sourced by the start and stop scripts: home of Bitbucket, outside the installation.
if [ -z "$BITBUCKET_HOME" ]; then
    BITBUCKET_HOME="@HOME@"
fi
export BITBUCKET_HOME
