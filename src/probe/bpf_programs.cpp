// SPDX-License-Identifier: Apache-2.0
//
// See bpf_programs.h.
#include "probe/bpf_programs.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "listenq.skel.h"
#include "probe/libbpf_log.h"
#include "probe/light_skeleton.h"
#include "probe/program_times.h"
#include "util/result.h"

namespace listenq {
namespace {

using Program = BpfPrograms::Program;

constexpr const char* kSingleSample = "a single sample has no use for marks";

class LightPrograms final : public BpfPrograms {
 public:
  explicit LightPrograms(const listenq_light_programs& programs) : programs_(programs) {}
  LightPrograms(const LightPrograms&) = delete;
  LightPrograms& operator=(const LightPrograms&) = delete;
  ~LightPrograms() override { listenq_light_destroy(&programs_); }

  [[nodiscard]] std::uint64_t marks_refused() const override {
    return programs_.marks_refused != nullptr ? *programs_.marks_refused : 0;
  }
  [[nodiscard]] bool marks_itself() const override { return true; }
  void set(const Switches& switches) override {
    *programs_.skip_marks = switches.mark ? 0 : 1;
    *programs_.owners_only = switches.owners_only ? 1 : 0;
  }

 protected:
  [[nodiscard]] int fd(Program program) const override {
    switch (program) {
      case Program::tcp:
        return programs_.iter_tcp;
      case Program::task_file:
        return programs_.iter_task_file;
      case Program::sk_storage:
        return programs_.iter_sk_storage;
    }
    return -1;
  }
  [[nodiscard]] int map_fd() const override { return programs_.marked; }

 private:
  listenq_light_programs programs_;
};

/// A subset of the programs and what they may use; decided by loading, because distributions
/// backport.
struct Profile {
  bool cookie_helper;
  bool task_file;
  bool
      mark_helper;  ///< bpf_sk_storage_get(); without it descriptors are marked (mark_descriptor())
  bool sk_storage;
  bool probe_read;  ///< bpf_probe_read_kernel(): lockdown=confidentiality refuses it
  bool operator==(const Profile&) const = default;
};

class FullPrograms final : public BpfPrograms {
 public:
  /// nullptr when the kernel does not take the profile; errno is set.
  static std::unique_ptr<FullPrograms> load(const Profile& profile) {
    listenq_bpf* skeleton = listenq_bpf__open();
    if (skeleton == nullptr) return nullptr;
    auto programs = std::unique_ptr<FullPrograms>(new FullPrograms(skeleton, profile.mark_helper));
    skeleton->rodata->listenq_cookie_helper = profile.cookie_helper ? 1 : 0;
    skeleton->rodata->listenq_probe_read = profile.probe_read ? 1 : 0;
    skeleton->rodata->listenq_mark = profile.mark_helper ? 1 : 0;
    bpf_program__set_autoload(skeleton->progs.iter__task_file, profile.task_file);
    bpf_program__set_autoload(skeleton->progs.iter__sk_storage, profile.sk_storage);
    if (listenq_bpf__load(skeleton) != 0) return nullptr;
    return programs;
  }
  FullPrograms(const FullPrograms&) = delete;
  FullPrograms& operator=(const FullPrograms&) = delete;
  ~FullPrograms() override { listenq_bpf__destroy(skeleton_); }

  [[nodiscard]] std::uint64_t marks_refused() const override {
    return skeleton_->bss->listenq_marks_refused;
  }
  [[nodiscard]] bool marks_itself() const override { return marks_itself_; }
  void set(const Switches& switches) override {
    skeleton_->bss->listenq_skip_marks = switches.mark ? 0 : 1;
    skeleton_->bss->listenq_owners_only = switches.owners_only ? 1 : 0;
  }

 protected:
  [[nodiscard]] int fd(Program program) const override {
    switch (program) {
      case Program::tcp:
        return bpf_program__fd(skeleton_->progs.iter__tcp);
      case Program::task_file:
        return bpf_program__fd(skeleton_->progs.iter__task_file);
      case Program::sk_storage:
        return bpf_program__fd(skeleton_->progs.iter__sk_storage);
    }
    return -1;
  }
  [[nodiscard]] int map_fd() const override { return bpf_map__fd(skeleton_->maps.marked); }

 private:
  FullPrograms(listenq_bpf* skeleton, bool marks_itself)
      : skeleton_(skeleton), marks_itself_(marks_itself) {}
  listenq_bpf* skeleton_;
  bool marks_itself_;
};

void note(KernelFacts& facts, Feature feature, bool have, const std::string& why_not) {
  if (!facts[feature].why_not.empty() && !facts[feature].have && !have) return;  // known before
  facts[feature] = {have, have ? std::string() : why_not};
}

/// Features that the caller has switched off: denied with a reason before anything was tried.
bool denied(const KernelFacts& facts, Feature feature) {
  return !facts[feature].have && !facts[feature].why_not.empty();
}

/// Best first: all that is not switched off, the same without the helper of 5.12, and what 5.10
/// has.
std::vector<Profile> profiles(const KernelFacts& facts, bool single_sample) {
  const bool storage = !denied(facts, Feature::iter_sk_storage);
  const bool marks = storage && !single_sample;
  const Profile best{!denied(facts, Feature::cookie_helper),
                     !denied(facts, Feature::iter_task_file), marks, marks, true};
  Profile no_cookie = best;
  no_cookie.cookie_helper = false;
  Profile locked_down = best;
  locked_down.task_file = locked_down.probe_read = false;
  std::vector<Profile> list = {best,
                               no_cookie,
                               {false, false, false, storage, true},
                               {false, false, false, false, true},
                               locked_down};
  list.erase(std::unique(list.begin(), list.end()), list.end());
  return list;
}

}  // namespace

bool BpfPrograms::mark_descriptor(int pid, int fd) const {
  // A copy of the other process' descriptor, for the moment that the kernel looks through it.
  const Fd process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  const Fd copy(process ? static_cast<int>(::syscall(SYS_pidfd_getfd, process.get(), fd, 0)) : -1);
  if (!copy) return false;
  const int key = copy.get();
  const __u32 value = 1;
  return bpf_map_update_elem(map_fd(), &key, &value, BPF_NOEXIST) == 0 || errno == EEXIST;
}

std::unique_ptr<BpfPrograms> BpfPrograms::load(KernelFacts& facts, bool single_sample) {
  keep_libbpf_warnings();
  if (denied(facts, Feature::bpf) || denied(facts, Feature::iter_tcp)) return nullptr;

  const bool anything_denied = denied(facts, Feature::cookie_helper) ||
                               denied(facts, Feature::iter_task_file) ||
                               denied(facts, Feature::iter_sk_storage);
  if (!denied(facts, Feature::light_skeleton) && !anything_denied) {
    listenq_light_programs light{};
    const int error =
        single_sample ? listenq_light_load_once(&light) : listenq_light_load_watch(&light);
    note(facts, Feature::light_skeleton, error == 0,
         fmt::format("the kernel does not relocate programs itself ({})", errno_text(-error)));
    if (error == 0) {
      for (const Feature feature :
           {Feature::cookie_helper, Feature::iter_tcp, Feature::iter_task_file}) {
        note(facts, feature, true, "");
      }
      note(facts, Feature::iter_sk_storage, !single_sample, kSingleSample);
      return std::make_unique<LightPrograms>(light);
    }
  }

  std::string why_not;
  for (const Profile& profile : profiles(facts, single_sample)) {
    errno = 0;
    auto programs = FullPrograms::load(profile);
    const int error = errno;
    if (!programs) {
      why_not = fmt::format("the kernel does not load it ({})", errno_text(error));
      if (error == EPERM) {
        why_not =
            "loading BPF is not permitted; it takes root outside of any user namespace or "
            "sandbox";
        break;
      }
      continue;
    }
    note(facts, Feature::iter_tcp, true, "");
    note(facts, Feature::cookie_helper, profile.cookie_helper, why_not);
    note(facts, Feature::iter_task_file, profile.task_file, why_not);
    note(facts, Feature::iter_sk_storage, profile.sk_storage,
         single_sample ? kSingleSample : why_not);
    return programs;
  }
  for (const Feature feature : {Feature::iter_tcp, Feature::cookie_helper, Feature::iter_task_file,
                                Feature::iter_sk_storage}) {
    note(facts, feature, false, why_not);
  }
  facts[Feature::iter_tcp].detail = last_libbpf_warning();
  return nullptr;
}

void BpfPrograms::list_programs(std::vector<RawProgram>& programs) const {
  for (const auto& [program, name] :
       {std::pair(Program::tcp, "iter__tcp"), std::pair(Program::task_file, "iter__task_file"),
        std::pair(Program::sk_storage, "iter__sk_storage")}) {
    add_program(programs, name, fd(program));
  }
}

std::string BpfPrograms::read(Program program, std::size_t record_size, const TakeRecord& take) {
  Fd& link = links_[static_cast<std::size_t>(program)];
  if (!link) {
    bpf_link_create_opts options{};
    options.sz = sizeof(options);
    bpf_iter_link_info info{};
    if (program == Program::sk_storage) {
      info.map.map_fd = static_cast<__u32>(map_fd());
      options.iter_info = &info;
      options.iter_info_len = sizeof(info);
    }
    link = Fd(bpf_link_create(fd(program), 0, BPF_TRACE_ITER, &options));
    if (!link) return fmt::format("no iterator link: {}", errno_text(errno));
  }
  // iter__tcp ends its walk by EAGAIN.
  return run_iterator(link.get(), record_size, Eagain::is_the_end, take);
}

}  // namespace listenq
