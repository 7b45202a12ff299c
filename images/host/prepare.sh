#!/bin/sh
# Runs as root inside the new image, after packages and files are in place.
set -eu

# evenkeel is who deploys; admin is who installs. Neither has a password, so only keys get in.
for user in evenkeel admin; do
    useradd --create-home --shell /bin/sh --password '*' "$user"
done
chmod 440 /etc/sudoers.d/admin

# Each container makes or is given its own host key; the package made these.
rm -f /etc/ssh/ssh_host_*

# A container has no consoles, disks or clock of its own to look after. The two .path units would each
# hold one of the machine's few inotify instances (fs.inotify.max_user_instances) in every container.
systemctl mask --quiet \
    systemd-ask-password-console.path systemd-ask-password-wall.path \
    apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service \
    fstrim.timer console-getty.service getty.target systemd-logind.service systemd-timesyncd.service \
    systemd-update-utmp.service systemd-update-utmp-runlevel.service systemd-networkd-wait-online.service

rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/*.log /var/log/apt
: > /etc/machine-id
