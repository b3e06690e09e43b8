/* SPDX-License-Identifier: Apache-2.0 */
/* See light_skeleton.h. */
#include "probe/light_skeleton.h"

#include <errno.h>
#include <stdlib.h>

#include <bpf/bpf.h>
#include <linux/bpf.h>

#include "listenq.lskel.h"

int listenq_light_load(struct listenq_light_programs *programs)
{
	struct listenq_light *skeleton = listenq_light__open();
	int error;

	if (!skeleton)
		return -ENOMEM;
	error = listenq_light__load(skeleton);
	if (error) {
		listenq_light__destroy(skeleton);
		return error < 0 ? error : -error;
	}
	programs->skeleton = skeleton;
	programs->iter_tcp = skeleton->progs.iter__tcp.prog_fd;
	programs->iter_task_file = skeleton->progs.iter__task_file.prog_fd;
	programs->iter_sk_storage = skeleton->progs.iter__sk_storage.prog_fd;
	programs->marked = skeleton->maps.marked.map_fd;
	programs->marks_refused = (const unsigned long long *)&skeleton->bss->listenq_marks_refused;
	return 0;
}

void listenq_light_destroy(struct listenq_light_programs *programs)
{
	listenq_light__destroy(programs->skeleton);
	programs->skeleton = NULL;
}
