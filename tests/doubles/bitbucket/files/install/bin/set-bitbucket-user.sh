# shellcheck shell=bash
# START INSTALLER MAGIC ! DO NOT EDIT !
BITBUCKET_USER="@USER_FILE_USER@" # user created by installer
# END INSTALLER MAGIC ! DO NOT EDIT !

export BITBUCKET_USER
