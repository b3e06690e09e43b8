/* SPDX-License-Identifier: (BSD-2-Clause OR GPL-2.0-only) */
/*
 * Finds the TCP header in a frame, for XDP and tc alike. Nothing is taken from the frame but what
 * is inside its bounds: the lengths that headers claim are checked against each other and against
 * what was received, and what does not fit is malformed. Fragments are not put together.
 *
 * What is found comes as one number, so that the search can be a function that the verifier checks
 * once, whatever comes after: a pointer or a structure can't be returned (5.10).
 */
#ifndef LISTENQ_FRAME_BPF_H
#define LISTENQ_FRAME_BPF_H

#include "vmlinux.h"

#include <bpf/bpf_helpers.h>

#include <bpf/bpf_endian.h>

enum {
	MAX_TAGS = 2,	    /* 802.1Q inside 802.1ad */
	MAX_EXTENSIONS = 8, /* of IPv6 */
	MAX_OFFSET = 511,   /* of a header that is looked at */
};

enum verdict {
	FRAME_OTHER, /* not TCP, or encrypted, or in more layers than are looked through */
	FRAME_TCP,
	FRAME_FRAGMENT,	 /* a piece of a packet */
	FRAME_MALFORMED, /* shorter than it claims, or with a header that cannot be */
};

/* The number: what was found, and where. Offsets take 9 bits (MAX_OFFSET). */
#define FOUND(network, transport, is_ipv6, tcp)                                                    \
	((__u64)(tcp)->source << 48 | (__u64)(tcp)->target << 32 | (__u64)(tcp)->flags << 24 |     \
	 (__u64)(transport) << 12 | (__u64)(network) << 3 | (__u64)(is_ipv6) << 2 | FRAME_TCP)
#define FOUND_VERDICT(found)	 ((enum verdict)((found)&3))
#define FOUND_IPV6(found)	 ((__u32)((found) >> 2 & 1))
#define FOUND_NETWORK(found)	 ((__u32)((found) >> 3 & MAX_OFFSET))
#define FOUND_TRANSPORT(found)	 ((__u32)((found) >> 12 & MAX_OFFSET))
#define FOUND_FLAGS(found)	 ((__u32)((found) >> 24 & 0xff))
#define FOUND_TARGET_PORT(found) ((__be16)((found) >> 32)) /* as in the header */
#define FOUND_SOURCE_PORT(found) ((__be16)((found) >> 48))

struct frame {
	__u8 *data; /* its first piece, or a copy of its beginning where the headers are in several
		     */
	__u8 *end;  /* of the first piece; 0: `data` is a copy of MAX_OFFSET + 64 bytes */
	__u32 size; /* of what `data` holds */
	__u32 length; /* of the whole frame */
};

struct ethernet_header {
	__u8 addresses[12];
	__be16 protocol;
};

struct tag_header {
	__be16 tag;
	__be16 protocol;
};

struct ipv4_header {
	__u8 version_and_words;
	__u8 service;
	__be16 length;
	__be16 id;
	__be16 fragment;
	__u8 hops;
	__u8 protocol;
	__be16 checksum;
	__be32 source;
	__be32 target;
};

struct ipv6_header {
	__be32 version_class_flow;
	__be16 length;
	__u8 next;
	__u8 hops;
	__be32 source[4];
	__be32 target[4];
};

struct extension_header {
	__u8 next;
	__u8 length;
	__be16 fragment; /* of a fragment header: 13 bits of offset, 2 reserved, 1 "more" */
};

struct tcp_header {
	__be16 source;
	__be16 target;
	__be32 seq;
	__be32 ack;
	__u8 words; /* in the upper half */
	__u8 flags;
	__be16 window;
	__be16 checksum;
	__be16 urgent;
};

/*
 * Always 0, but the verifier does not know. Added to an offset that it could follow from header to
 * header, this makes one state of very many.
 */
static volatile __u32 unknown_to_verifier;

/* A header at an offset, or 0 when it is not all there. */
#define HEADER(f, offset, type)                                                                    \
	({                                                                                         \
		__u32 __at = (offset)&MAX_OFFSET;                                                  \
		void *__header = (f)->data + __at;                                                 \
                                                                                                   \
		if ((f)->end ? __header + sizeof(type) > (void *)(f)->end                          \
			     : __at + sizeof(type) > (f)->size)                                    \
			__header = 0;                                                              \
		(type *)__header;                                                                  \
	})

enum {
	ETH_P_IP = 0x0800,
	ETH_P_IPV6 = 0x86dd,
	ETH_P_8021Q = 0x8100,
	ETH_P_8021AD = 0x88a8,
	NEXT_HOPOPTS = 0,
	NEXT_ROUTING = 43,
	NEXT_FRAGMENT = 44,
	NEXT_AH = 51,
	NEXT_DSTOPTS = 60,
	MORE_FRAGMENTS = 0x2000,
	FRAGMENT_OFFSET = 0x1fff,
	MAX_IP_LENGTH = 0xffff,
};

/*
 * The end of an IP packet whose header says how much follows `start`. A packet put together from
 * several may be too long for that field, which is 0 then (BIG TCP).
 */
static __always_inline __u32 ip_end(const struct frame *f, __u32 start, __u32 says)
{
	if (!says && f->length > start + MAX_IP_LENGTH)
		return f->length;
	return start + says;
}

static __always_inline __u64 find_ports(const struct frame *f, __u32 network, __u32 offset,
					__u32 end, __u32 is_ipv6)
{
	struct tcp_header *tcp;

	if (offset + sizeof(*tcp) > end)
		return FRAME_MALFORMED;
	tcp = HEADER(f, offset, struct tcp_header);
	if (!tcp || tcp->words >> 4 < 5 || offset + (tcp->words >> 4) * 4 > end)
		return FRAME_MALFORMED;
	return FOUND(network, offset, is_ipv6, tcp);
}

static __always_inline __u64 find_in_ipv4(const struct frame *f, __u32 network)
{
	struct ipv4_header *ip = HEADER(f, network, struct ipv4_header);
	__u32 bytes, end;

	if (!ip || ip->version_and_words >> 4 != 4)
		return FRAME_MALFORMED;
	bytes = (ip->version_and_words & 15) * 4;
	end = ip_end(f, network, bpf_ntohs(ip->length));
	if (bytes < sizeof(*ip) || end < network + bytes || end > f->length)
		return FRAME_MALFORMED;
	if (ip->fragment & bpf_htons(MORE_FRAGMENTS | FRAGMENT_OFFSET))
		return FRAME_FRAGMENT;
	if (ip->protocol != IPPROTO_TCP)
		return FRAME_OTHER;
	return find_ports(f, network, network + bytes, end, 0);
}

static __always_inline int is_extension(__u8 next)
{
	return next == NEXT_HOPOPTS || next == NEXT_ROUTING || next == NEXT_FRAGMENT ||
	       next == NEXT_AH || next == NEXT_DSTOPTS;
}

static __always_inline __u64 find_in_ipv6(const struct frame *f, __u32 network)
{
	struct ipv6_header *ip = HEADER(f, network, struct ipv6_header);
	__u32 offset = network + sizeof(*ip);
	__u32 end;
	__u8 next;

	if (!ip || (ip->version_class_flow & bpf_htonl(0xf0000000)) != bpf_htonl(0x60000000))
		return FRAME_MALFORMED;
	next = ip->next;
	end = ip_end(f, offset, bpf_ntohs(ip->length));
	if (end > f->length)
		return FRAME_MALFORMED;

	for (int i = 0; i <= MAX_EXTENSIONS; i++) {
		struct extension_header *extension;

		if (next == IPPROTO_TCP)
			return find_ports(f, network, offset, end, 1);
		if (!is_extension(next) || i == MAX_EXTENSIONS)
			return FRAME_OTHER;
		if (offset + 8 > end)
			return FRAME_MALFORMED;
		extension = HEADER(f, offset, struct extension_header);
		if (!extension)
			return FRAME_MALFORMED;
		/* One that is whole may say so with this header as well (RFC 6946). */
		if (next == NEXT_FRAGMENT && extension->fragment & bpf_htons(0xfff9))
			return FRAME_FRAGMENT;
		offset += next == NEXT_FRAGMENT ? 8
			  : next == NEXT_AH	? (extension->length + 2u) * 4
						: (extension->length + 1u) * 8;
		if (offset > end)
			return FRAME_MALFORMED;
		if (offset > MAX_OFFSET)
			return FRAME_OTHER;
		offset += unknown_to_verifier;
		asm volatile("%0 &= %1" : "+r"(offset) : "i"(MAX_OFFSET));
		next = extension->next;
	}
	return FRAME_OTHER;
}

/*
 * `protocol`: of the first header, when the frame has none of Ethernet; else 0. `stripped`: tags
 * that were in the frame and are kept beside it now.
 */
static __always_inline __u64 find_tcp(const struct frame *f, __be16 protocol, __u32 stripped)
{
	__u32 network = 0;

	if (!protocol) {
		struct ethernet_header *ethernet = HEADER(f, 0, struct ethernet_header);

		if (!ethernet)
			return FRAME_MALFORMED;
		protocol = ethernet->protocol;
		network = sizeof(*ethernet);
		for (int i = 0; i < MAX_TAGS; i++) {
			struct tag_header *tag;

			if (protocol != bpf_htons(ETH_P_8021Q) &&
			    protocol != bpf_htons(ETH_P_8021AD))
				break;
			if (i + stripped >= MAX_TAGS)
				return FRAME_OTHER;
			tag = HEADER(f, network, struct tag_header);
			if (!tag)
				return FRAME_MALFORMED;
			protocol = tag->protocol;
			network += sizeof(*tag) + unknown_to_verifier;
			asm volatile("%0 &= %1" : "+r"(network) : "i"(31));
		}
	}
	if (protocol == bpf_htons(ETH_P_IP))
		return find_in_ipv4(f, network);
	if (protocol == bpf_htons(ETH_P_IPV6))
		return find_in_ipv6(f, network);
	return FRAME_OTHER;
}

#endif /* LISTENQ_FRAME_BPF_H */
