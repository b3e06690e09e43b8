/* SPDX-License-Identifier: Apache-2.0 */
/* See light_skeleton.h. */
#define _GNU_SOURCE /* MAP_ANONYMOUS in the generated code */

#include "probe/light_skeleton.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdlib.h>

#include "once.lskel.h"
#include "watch.lskel.h"

int listenq_light_load_watch(struct listenq_light_programs* programs) {
  struct light_watch* skeleton = light_watch__open_and_load();

  if (!skeleton) return errno ? -errno : -ENOMEM;
  *programs = (struct listenq_light_programs){
      .watch = skeleton,
      .iter_tcp = skeleton->progs.iter__tcp.prog_fd,
      .iter_task_file = skeleton->progs.iter__task_file.prog_fd,
      .iter_sk_storage = skeleton->progs.iter__sk_storage.prog_fd,
      .marked = skeleton->maps.marked.map_fd,
      .marks_refused = (const unsigned long long*)&skeleton->bss->listenq_marks_refused,
      .skip_marks = &skeleton->bss->listenq_skip_marks,
      .owners_only = &skeleton->bss->listenq_owners_only,
  };
  return 0;
}

int listenq_light_load_once(struct listenq_light_programs* programs) {
  struct light_once* skeleton = light_once__open_and_load();

  if (!skeleton) return errno ? -errno : -ENOMEM;
  *programs = (struct listenq_light_programs){
      .once = skeleton,
      .iter_tcp = skeleton->progs.iter__tcp.prog_fd,
      .iter_task_file = skeleton->progs.iter__task_file.prog_fd,
      .iter_sk_storage = -1,
      .marked = -1,
      .skip_marks = &skeleton->bss->listenq_skip_marks,
      .owners_only = &skeleton->bss->listenq_owners_only,
  };
  return 0;
}

void listenq_light_destroy(struct listenq_light_programs* programs) {
  light_watch__destroy(programs->watch);
  light_once__destroy(programs->once);
  programs->watch = NULL;
  programs->once = NULL;
}
