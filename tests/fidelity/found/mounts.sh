# Copyright (c) 2026, the atlassian_dc.hardening contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
# The home on a file system of its own; attachments on a FUSE mount of the service account and the shared home on one that
# calls itself a network file system. The kernel shows neither to root, as a server that squashes root would not.
home=/var/atlassian/application-data/jira
systemctl stop jira.service
chmod 666 /dev/fuse
sed -i 's/^JIRA_USER=.*/JIRA_USER="jira" ##/' /opt/atlassian/jira/bin/user.sh
mv $home $home.old
mkdir $home
mount -t tmpfs -o mode=755 tmpfs $home
cp -a $home.old/. $home/
rm -r $home.old
mkdir -p /srv/store/shared/data/avatars /srv/store/shared/plugins /srv/jira-shared
echo picture > /srv/store/shared/data/avatars/a.png
mv $home/data/attachments /srv/store/attachments
mkdir $home/data/attachments
printf 'jira.node.id = node1\njira.shared.home = /srv/jira-shared\n' > $home/cluster.properties
chown -R jira:jira /opt/atlassian/jira $home /srv/store /srv/jira-shared
chmod -R a+rwX /srv/store
# What the account cannot change: it belongs to somebody else in the store.
chown root:root /srv/store/attachments/DEMO/10000/DEMO-1/10000
setfacl -m u:daemon:rw /srv/store/attachments/OPS
runuser -u jira -- bindfs --no-allow-other /srv/store/attachments $home/data/attachments
runuser -u jira -- bindfs --no-allow-other -o fsname=filer:/jira,subtype=sshfs /srv/store/shared /srv/jira-shared
systemctl start jira.service
