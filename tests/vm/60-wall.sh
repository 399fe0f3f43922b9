#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The second wall: what root in a container may not do to the guest it runs in. (The first is the virtual machine.)
# shellcheck disable=SC2016 # the container's shell expands
. "$(dirname "$0")/lib.sh"
need_tools

# probe WHAT ARG...: runs the program of probe.c.
vm run --rm --entrypoint /probe tools
check_status "probe" 0
for name in vsock vsock-dgram vda vdb hvc mem kmsg mount remount umount unshare-user unshare-mount setns init-file reboot module \
	kexec bpf keyctl userfaultfd io-uring settime swapon sysrq core-pattern sysfs cgroup kcore keys hostname; do
	if grep -q "^$name " "$out"; then
		check "root may not: $name" out_lacks "^$name (yes|killed)"
	else
		check "probe tried $name" false
	fi
done
[ "$(uname -m)" != x86_64 ] || check "root may not: iopl" out_lacks '^iopl yes'
check "root may, as in docker: a raw socket for ping" out_lacks '^raw-socket Operation not permitted'

# Capabilities that would allow it do not open the machine underneath.
hard=(vsock vda vdb hvc mem kmsg init-file module kexec kcore sysrq)
vm run --rm --cap-add ALL --entrypoint /probe tools "${hard[@]}"
check_status "probe with all capabilities" 0
for name in "${hard[@]}"; do
	check "all capabilities may not: $name" out_has "^$name [A-Z]"
done
vm run --rm --cap-add ALL --entrypoint /probe tools reboot
check_status "reboot ends the container as Linux does it in a pid namespace, not the machine" 129

vm run --rm tools sh -c '
echo "pid $$"
ls /proc | grep -c "^[0-9]"
ls /proc/self/fd
echo "dev $(ls /dev | tr "\n" " ")"
cat /proc/self/status | grep -E "^(NoNewPrivs|Seccomp):" | tr "\t" " "
for f in /proc/kcore /proc/keys /proc/timer_list /proc/sched_debug /sys/firmware; do
	[ -e $f ] && echo "masked $f $(cat $f 2>/dev/null | wc -c) $(ls $f 2>/dev/null | grep -vc "^$f$")"
done
for f in /proc/sys/kernel/hostname /proc/sys/vm/swappiness /sys/kernel/profiling; do (: >>$f) 2>/dev/null && echo "writable $f"; done
for d in /proc/irq /proc/bus /proc/fs /sys/kernel /sys/fs/cgroup; do mkdir $d/x 2>/dev/null && echo "writable $d"; done
echo "mounts $(cat /proc/mounts | cut -d " " -f 2 | tr "\n" " ")"
cat /proc/1/environ | tr "\0" "\n" | grep -c . | sed "s/^/variables /"
cat /proc/self/cgroup
'
check_status "a look around" 0
check "PID 1 is the command" out_has '^pid 1$'
check "no file that should be masked shows something" out_lacks '^masked .* [1-9][0-9]* [0-9]+$'
check "nothing of /proc and /sys is writable" out_lacks '^writable'
check "no block device in /dev" out_lacks '^dev .*vd[a-z]'
check "no vsock, kmsg, mem or console of the guest in /dev" out_lacks '^dev .*(vsock|kmsg|mem |hvc|vport)'
for name in null zero full random urandom tty pts shm mqueue fd stdin stdout stderr ptmx; do
	check "/dev/$name is there" out_has "^dev .*\b$name\b"
done
check "cgroup: its own root" out_has '^0::/$'
check "no path of the guest among the mounts" out_lacks '^mounts .*(/lower|/upper|/newroot|/init)'
vm run --rm --entrypoint /info tools
check "no descriptor but the three" out_has '^fds 0 1 2$'
check "docker's capabilities" out_has '^CapEff:.00000000a80425fb$'
check "no ambient capabilities" out_has '^CapAmb:.0000000000000000$'
vm run --rm -u 1234 tools setuid-info
check "a set-user-ID program works, as in docker" out_has '^uid 1234'

# guest-init's program: an image that names it as its command gets no further than any other, and below --init its file
# cannot be read, or with a capability too many, not written.
limit=20
vm run --rm --entrypoint /proc/self/exe tools
check_status "/proc/self/exe as the command: guest-init sees that it is not the first" 125
check "/proc/self/exe as the command: it could not do its work" out_is ""
limit=60
overwrite='echo "pid 1 is $(readlink /proc/1/exe || echo hidden)"; for f in /proc/1/exe /proc/1/mem; do
	(: <"$f") 2>/dev/null && echo "$f can be read"; (: >>"$f") && echo "$f can be written"; done; ls /proc/1/fd | wc -l; exit 5'
vm run --rm --init tools sh -c "$overwrite"
check_status "below --init" 5
check "below --init: nothing of PID 1 can be seen" out_is "$(printf 'pid 1 is hidden\n0')"
vm run --rm --init --cap-add SYS_PTRACE tools sh -c "$overwrite"
check_status "below --init with CAP_SYS_PTRACE" 5
check "below --init with CAP_SYS_PTRACE: guest-init's file cannot be written" err_has '/proc/1/exe: Text file busy'
check "below --init with CAP_SYS_PTRACE: and PID 1 has no descriptors" [ "$(tail -n 1 "$out")" = 0 ]

# What a descriptor or a directory that leaked could lead to (CVE-2024-21626).
escape='ls -d /proc/self/cwd/..; readlink /proc/self/cwd; cd /proc/self/cwd && cd ../../../.. && pwd; ls -a / | grep -cx image'
vm run --rm -w /tmp tools sh -c "$escape"
check "the way up from the working directory ends at the root" out_is "$(printf '/proc/self/cwd/..\n/tmp\n/\n0')"
for name in 3 7; do
	vm run --rm -w "/proc/self/fd/$name" tools true
	check "a working directory /proc/self/fd/$name is refused" [ "$status" -eq 125 -o "$status" -eq 126 ]
done

# Hostile processes: the end is clean, and the machine is still ours to end.
vm run --rm --pids-limit 100 --init tools sh -c 'f() { f | f & }; f; sleep 2; echo survived'
check "fork bomb: ends" [ "$status" -ne 124 ]
vm run --rm tools sh -c 'kill -9 -1; echo still PID 1; exit 3'
check_status "kill -9 -1 does not reach guest-init" 3
vm run --rm -m 96m tools sh -c 'dd if=/dev/zero of=/dev/shm/fill bs=1M 2>&1 | tail -n 1; dd if=/dev/zero of=/fill bs=1M count=500; echo alive'
check "filling the writable layer: alive, or out of memory" [ "$status" -eq 0 -o "$status" -eq 137 ]
vm run --rm tools sh -c 'mkdir /tmp/x; cd /tmp/x; i=0; while [ $i -lt 2000 ]; do : >f$i; i=$((i + 1)); done; ls | wc -l; cd /; rm -r /tmp/x; ls /tmp | wc -l'
check "2000 files come and go" out_is "$(printf '2000\n0')"
vm run --rm --init tools sh -c 'i=0; while [ $i -lt 300 ]; do (sh -c "exit 0" &); i=$((i + 1)); done; sleep 1; ps -o stat | grep -c Z'
check "300 orphans are reaped" out_is 0
finish
