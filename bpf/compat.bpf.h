/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Every difference between kernels that reading a listener meets, one accessor each, with the
 * kernel that made the difference and what is lost on the other side. Feature by feature, never by
 * version: CO-RE asks the running kernel's BTF, and the verifier drops the branch that does not
 * apply.
 */
#ifndef LISTENQ_COMPAT_BPF_H
#define LISTENQ_COMPAT_BPF_H

#include "vmlinux.h"

#include <bpf/bpf_helpers.h>

#include <bpf/bpf_core_read.h>

/*
 * The struct sock inside a tcp_sock, in one expression, so that every relocation starts at
 * tcp_sock. The kernel's own relocation keeps candidates per type name in a small hash, and there
 * "sock" and "kernfs_node" share a slot (vmlinux_cand_cache): with both as starting points each
 * program would make it scan all of BTF again, which doubles the time to load.
 */
#define SK(tp) ((tp)->inet_conn.icsk_inet.sk)

/*
 * Set by user space after trying: bpf_get_socket_cookie() in tracing programs came with 5.12
 * (c5dbb89fc2ac). Without it a cookie is known only once somebody asked for it through sock_diag.
 */
const volatile __u8 listenq_cookie_helper = 1;

static __always_inline __u64 listener_cookie(struct tcp_sock *tp)
{
	if (listenq_cookie_helper)
		return bpf_get_socket_cookie(tp);
	return SK(tp).__sk_common.skc_cookie.counter;
}

/*
 * 6.18 keeps the inode number in the socket; before, it is in the inode next to the struct socket,
 * which only bpf_probe_read_kernel() reaches (refused under lockdown=confidentiality).
 */
static __always_inline __u64 listener_inode(struct tcp_sock *tp)
{
	if (bpf_core_field_exists(SK(tp).sk_ino))
		return SK(tp).sk_ino;

	struct socket_alloc *alloc = (struct socket_alloc *)SK(tp).sk_socket;
	return alloc ? BPF_CORE_READ(alloc, vfs_inode.i_ino) : 0;
}

/*
 * Listener drops go to sk_drops; since 6.18 a socket may have two counters, one a NUMA half,
 * instead (6.18, "net: add sk_drop_counters"). sk_drops_read() adds them in the same way.
 */
static __always_inline __u32 listener_drops(struct tcp_sock *tp)
{
	if (bpf_core_field_exists(SK(tp).sk_drop_counters)) {
		struct numa_drop_counters *numa = SK(tp).sk_drop_counters;

		if (numa)
			return (__u32)numa->drops0.counter + (__u32)numa->drops1.counter;
	}
	return (__u32)SK(tp).sk_drops.counter;
}

/*
 * Since 5.15 (8520e224f547) the socket points at its cgroup. Before, the word is tagged and may
 * hold a net_cls id instead: there the id stays absent, and user space has the owner's cgroup.
 */
static __always_inline __u64 listener_cgroup(struct tcp_sock *tp)
{
	if (!bpf_core_field_exists(SK(tp).sk_cgrp_data.cgroup))
		return 0;

	struct cgroup *cgroup = SK(tp).sk_cgrp_data.cgroup;
	return cgroup ? cgroup->kn->id : 0;
}

#endif /* LISTENQ_COMPAT_BPF_H */
