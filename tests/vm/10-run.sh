#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# What `mvrun run` means: output, exit status, and every option as the container sees it.
# shellcheck disable=SC2016,SC2317 # the container's shell expands; functions are called by check
. "$(dirname "$0")/lib.sh"
need_tools
need_image scratch "oci:$images/scratch:latest"

# ---- output and status
vm run tools echo hello world
check_status "echo" 0
check "echo: its output and nothing else" out_is "hello world"
check "echo: a quiet stderr" err_is_empty
vm tools sh -c 'echo short form; exit 3'
check_status "short form, exit 3" 3
check "short form: output" out_is "short form"
vm run --rm tools sh -c 'kill -9 $$'
check_status "kill -9 \$\$ does nothing to PID 1 of a namespace, so the shell ends well" 0
vm run --rm --init tools sh -c 'kill -9 $$'
check_status "kill -9 \$\$ below --init" 137
vm run --rm --init tools sh -c 'kill -SEGV $$'
check_status "kill -SEGV below --init" 139
vm run --rm tools nope
check_status "missing command" 127
check "missing command: named" err_has 'nope.*(not found|no such file)'
check "missing command: one line" err_is_one_line
vm run --rm tools /no/such/path
check_status "missing path" 127
vm run --rm tools /etc
check_status "a directory as command" 126
check "a directory: said so" err_has '/etc.*(is a directory|permission denied)'
vm run --rm tools noexec
check_status "no permission to execute" 126
vm run --rm tools /usr/bin/noexec
check_status "no permission to execute, by path" 126
vm run --rm tools no-interpreter
check "a missing interpreter: 126 or 127" [ "$status" -eq 127 -o "$status" -eq 126 ]
vm run --rm tools garbage
check_status "a file that is no program" 126
vm run --rm tools script a "b c"
check "a script through its #! line" out_is "script a b c"
vm run --rm nosuchimage echo
refused "image that is not there" nosuchimage

# ---- a process as the image alone describes it
vm run --rm scratch one 'two words' ''
check_status "scratch" 0
check "scratch: arguments as given" out_has '^args \[/info\] \[one\] \[two words\] \[\]$'
check "scratch: root" out_has '^uid 0 gid 0 groups'
check "scratch: PID 1 without a visible parent" out_has '^pid 1 ppid 0$'
check "scratch: working directory" out_has '^cwd /$'
check "scratch: no descriptor but the three" out_has '^fds 0 1 2$'
check "scratch: default PATH" out_has '^env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin$'
check "scratch: HOME" out_has '^env HOME=/'
check "scratch: HOSTNAME as gethostname says" [ "$(sed -n 's/^env HOSTNAME=//p' "$out")" = "$(sed -n 's/^host //p' "$out")" ]
check "scratch: docker's capabilities" out_has '^CapBnd:.00000000a80425fb$'
check "scratch: no inheritable capabilities" out_has '^CapInh:.0000000000000000$'
check "scratch: seccomp filter" out_has '^Seccomp:.2$'
vm run --rm scratch exit 42
check_status "scratch: exit 42" 42

# ---- options, as many as fit into one start
printf '# comment\nFROM_FILE=file value\nINHERITED\nNOT_SET_ANYWHERE\n\nOVER=file\n' >"$tmp/env"
export INHERITED=from-outside
vm run --rm -e A=1 -eB=2 --env 'C=three words' -e INHERITED --env-file "$tmp/env" -e OVER=line -w /tmp/new/dir -u 1234:2345 \
	-h box --ulimit nofile=100:200 --cap-add net_admin --cap-drop CAP_CHOWN --entrypoint /info tools x
check_status "many options" 0
check "--entrypoint" out_has '^args \[/info\] \[x\]$'
for line in 'A=1' 'B=2' 'C=three words' 'FROM_FILE=file value' 'INHERITED=from-outside' 'OVER=line' 'HOSTNAME=box'; do
	check "environment: $line" out_has "^env $line\$"
done
check "environment: what is set nowhere stays away" out_lacks '^env NOT_SET_ANYWHERE'
check "-w makes the directory" out_has '^cwd /tmp/new/dir$'
check "-u" out_has '^uid 1234 gid 2345'
check "-h" out_has '^host box$'
check "--ulimit" out_has '^nofile 100 200$'
check "--cap-add, --cap-drop" out_has '^CapBnd:.00000000a80435fa$'
check "no effective capabilities without root" out_has '^CapEff:.0000000000000000$'
vm run --rm --cap-drop all --cap-add CHOWN --entrypoint /info tools
check "--cap-drop all, --cap-add" out_has '^CapEff:.0000000000000001$'
vm run --rm --entrypoint "" tools /info plain
check "--entrypoint '' clears it" out_has '^args \[/info\] \[plain\]$'

facts='
echo "cpus $(grep -c ^processor /proc/cpuinfo)"
echo "memory $(sed -n "s/^MemTotal: *\([0-9]*\) kB/\1/p" /proc/meminfo)"
echo "max $(cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max /sys/fs/cgroup/cpu.max | tr "\n" " ")"
echo "root $(awk "\$2 == \"/\" { print \$4 }" /proc/mounts)"
echo "scratch $(awk "\$2 == \"/scratch\" { print \$3, \$4 }" /proc/mounts)"
touch /file 2>&1; touch /scratch/file && echo tmpfs writable
touch /dev/shm/file && echo shm writable
ls -d /proc/[0-9]* | wc -l | sed "s/^/processes /"
uname -n | sed "s/^/name /"
echo "hostname $(cat /etc/hostname)"
echo "hosts $(grep -c . /etc/hosts)"
umask | sed "s/^/umask /"
'
vm run --rm -m 200m --cpus 2 --pids-limit 50 --read-only --tmpfs /scratch:size=1m,mode=700 -h facts tools sh -c "$facts"
check_status "facts" 0
check "--cpus 2" out_has '^cpus 2$'
memory=$(sed -n 's/^memory //p' "$out")
check "-m 200m: $memory kB of it usable" [ "${memory:-0}" -gt 140000 -a "${memory:-0}" -le 204800 ]
check "--pids-limit" out_has '^max .* 50 '
check "--read-only" out_has '^root ro[,]'
check "--read-only: touch fails" out_has 'touch: /file: Read-only file system'
check "--tmpfs with options" out_has '^scratch tmpfs rw,.*size=1024k'
check "--tmpfs is writable" out_has '^tmpfs writable$'
check "/dev/shm is writable" out_has '^shm writable$'
check "few processes to see" out_has '^processes [1-6]$'
check "hostname" out_has '^name facts$'
check "/etc/hostname" out_has '^hostname facts$'
check "/etc/hosts" out_has '^hosts [1-9]'
check "umask" out_has '^umask 0022$'
vm run --rm --cpus 0.5 tools sh -c 'cat /sys/fs/cgroup/cpu.max; grep -c ^processor /proc/cpuinfo; touch /a /etc/b && echo ok'
check "--cpus 0.5 is one CPU, half of the time" out_is "$(printf '50000 100000\n1\nok')"
vm run --rm --cpus 0 tools sh -c 'cat /sys/fs/cgroup/cpu.max; grep -c ^processor /proc/cpuinfo'
check "--cpus 0 is no limit" out_is "$(printf 'max 100000\n%s' "$(nproc)")"
vm run --rm --pids-limit 10 tools sh -c 'for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 5 & done; echo started'
check "--pids-limit holds" err_has "can't fork|resource temporarily unavailable"

# ---- what docker opens in a network of the container's own
vm run --rm -u 1234 --cap-drop ALL tools sh -c 'echo "port 80" >/tmp/index.html
httpd -p 127.0.0.1:80 -h /tmp && wget -qO - http://127.0.0.1/
cat /proc/sys/net/ipv4/ip_unprivileged_port_start
tr -s "\t " "  " </proc/sys/net/ipv4/ping_group_range
(echo 1 >/proc/sys/net/ipv4/ip_unprivileged_port_start) 2>/dev/null || echo read-only'
check "any user may bind port 80 and send pings" out_is "$(printf 'port 80\n0\n0 2147483647\nread-only')"

# ---- --init
vm run --rm --init tools sh -c 'echo pid $$; (sleep 0.3 &) ; sleep 1; ps -o pid,stat,comm | grep -c Z'
check "--init: not PID 1, orphans are reaped" [ "$(sed -n 1p "$out")" != "pid 1" -a "$(sed -n 2p "$out")" = 0 ]

# ---- memory: the container's limit kills the container and nothing else
vm run --rm -m 128m tools sh -c 'tail /dev/zero'
check_status "out of memory" 137

# ---- words that end the options
vm run --rm -- tools echo dashes
check "-- before the image" out_is dashes
vm run --rm tools echo --rm -e x
check "options after the image are the command's" out_is "--rm -e x"

# ---- --timings, --kernel
vm run --rm --timings tools true
check "--timings writes to stderr" err_has 'ms'
check "--timings leaves stdout alone" out_is ""
libexec=$(dirname "$(readlink -f "$(command -v mvrun)")")/../libexec/mvrun
vm run --rm --kernel "$libexec/vmlinux" tools echo by hand
check "--kernel" out_is "by hand"
finish
