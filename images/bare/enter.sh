#!/usr/bin/env bash
# Run a command as root in a tree: enter.sh TREE CACHE COMMAND…
#
# For scripts/bare, which starts it in a mount namespace of its own: what is mounted ends with that.
set -euo pipefail
tree=$1 cache=$2
shift 2
CERTIFICATES=/etc/ssl/certs/ca-certificates.crt

# share FROM TO: show a path of this machine in the tree.
share() {
    if [ -d "$1" ]; then
        mkdir -p "$tree$2"
    else
        mkdir -p "$tree${2%/*}"
        [ -e "$tree$2" ] || : >"$tree$2"
    fi
    mount --bind "$1" "$tree$2"
}

# pip's settings of this machine as variables, those of its environment last, so that they win.
pip_settings() {
    local key value
    .venv/bin/pip config list | sort --reverse | while IFS='=' read -r key value; do
        key=${key##*.}
        key=${key//-/_}
        value=${value:1:-1}
        printf 'PIP_%s=%s\n' "${key^^}" "${value//\\n/ }"
    done
}

# Programs that change their root want it to be a mount.
mount --bind "$tree" "$tree"
mount -t proc proc "$tree/proc"
mount --rbind /sys "$tree/sys"
mount -t tmpfs -o mode=755 tmpfs "$tree/run"
mount -t tmpfs -o mode=755 tmpfs "$tree/dev"
for name in null zero full random urandom tty; do
    share "/dev/$name" "/dev/$name"
done
mkdir "$tree/dev/pts" "$tree/dev/shm"
mount -t devpts -o newinstance,ptmxmode=666,mode=620 devpts "$tree/dev/pts"
mount -t tmpfs -o mode=1777 tmpfs "$tree/dev/shm"
ln -s pts/ptmx "$tree/dev/ptmx"
ln -s /proc/self/fd "$tree/dev/fd"

# What is downloaded may come from before; what is installed may not.
share "$cache/apt" /var/cache/apt/archives
share "$cache/pip" /var/cache/pip
for path in /etc/hosts /etc/resolv.conf /etc/apt/auth.conf.d; do
    [ ! -e "$path" ] || share "$path" "$path"
done
if [ -e "$CERTIFICATES" ]; then
    share "$CERTIFICATES" "/machine$CERTIFICATES"
    printf 'Acquire::https::CaInfo "/machine%s";\n' "$CERTIFICATES" \
        >"$tree/etc/apt/apt.conf.d/91certificates"
fi

# A setting may name a file of this machine, or an index whose files are beside it.
settings=()
while read -r setting; do
    for word in ${setting#*=}; do
        path=${word#file://}
        [[ $path == /*/* && -e $path ]] || continue
        setting=${setting//$path//machine$path}
        [ "$path" = "$word" ] || path=${path%/*}
        [ -e "$tree/machine$path" ] || share "$path" "/machine$path"
    done
    settings+=("$setting")
done < <(pip_settings)
for name in http_proxy https_proxy no_proxy; do
    [ -z "${!name-}" ] || settings+=("$name=${!name}")
done

# The shell that started this in the background made it ignore the keyboard's signals.
exec chroot "$tree" env --ignore-environment --default-signal=INT,QUIT \
    --chdir=/root/checkout HOME=/root \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "TERM=${TERM-dumb}" \
    "${settings[@]}" PIP_CACHE_DIR=/var/cache/pip "$@"
