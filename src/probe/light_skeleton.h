/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The light skeleton: a small BPF program loads the others, and the kernel relocates them against
 * its own BTF instead of libbpf against a copy. That takes a quarter of the time, and nearly no
 * memory, but needs 5.17 and tells little when it fails; then bpf_programs.cpp takes the other way.
 * C, because bpftool generates C.
 */
#ifndef LISTENQ_LIGHT_SKELETON_H
#define LISTENQ_LIGHT_SKELETON_H

#ifdef __cplusplus
extern "C" {
#endif

struct listenq_light_programs {
  void* watch; /* one of the two is owned; listenq_light_destroy() closes all below */
  void* once;
  int iter_tcp;
  int iter_task_file;
  int iter_sk_storage;
  int marked; /* the map */
  const unsigned long long* marks_refused;
  unsigned int* skip_marks; /* switches between reads: see bpf/listenq.bpf.c */
  unsigned int* owners_only;
};

/*
 * The programs for many samples, or those for a single one: then there are no marks,
 * iter_sk_storage and marked are -1 and marks_refused is NULL. 0, or a negative errno and nothing
 * to destroy.
 */
int listenq_light_load_watch(struct listenq_light_programs* programs);
int listenq_light_load_once(struct listenq_light_programs* programs);

void listenq_light_destroy(struct listenq_light_programs* programs);

#ifdef __cplusplus
}
#endif

#endif
