# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
# As the vendor's installer leaves it where the name jira was taken: account jira1, named by user.sh; a forking unit without
# User= and with a PID file. The home came from another machine, with its owner.
systemctl stop jira.service
useradd --create-home --comment 'Account created by JIRA' --shell /bin/bash jira1
useradd --create-home --shell /bin/bash legacy
sed -i 's/^JIRA_USER=.*/JIRA_USER="jira1" ##/' /opt/atlassian/jira/bin/user.sh
chown -R jira1:jira1 /opt/atlassian/jira
chown -R legacy:legacy /var/atlassian/application-data/jira
chmod -R a+rwX /var/atlassian/application-data/jira
systemctl start jira.service
