# SPDX-License-Identifier: Apache-2.0
#
# Completion of listenq-top for bash. Fields come from the program itself, everything else is listed here;
# tests/packaging/run holds the options against those that --help prints.

_listenq_top_fields() {
  listenq-top --list-fields 2>/dev/null | while read -r id _; do echo "$id"; done
}

# After the last comma of $1: what is in $2 (words).
_listenq_top_list() {
  local begun=''
  [[ $1 != *,* ]] || begun=${1%,*},
  mapfile -t COMPREPLY < <(compgen -P "$begun" -W "$2" -- "${1##*,}")
  compopt -o nospace
}

_listenq_top() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} command='' word
  local general='-h --help --version -1 --once -b --batch -n --count -d --delay --json --csv --columns --sort
    --filter --list-fields --netns --nic --nic-mode --backend --no-feature --explain --ascii'
  local serve='--web.listen-address --web.telemetry-path --web.config.file --web.reuseport-members
    --max-listeners --include --exclude --program-times'
  COMPREPLY=()
  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case $word in
      serve | record | replay) command=$word ;;
    esac
  done

  case $previous in
    --backend) mapfile -t COMPREPLY < <(compgen -W 'auto fentry kprobe portable iter diag' -- "$current") ;;
    --nic-mode) mapfile -t COMPREPLY < <(compgen -W 'auto xdp xdp-generic tc' -- "$current") ;;
    --nic) _listenq_top_list "$current" "none auto $(cd /sys/class/net 2>/dev/null && echo *)" ;;
    --netns) mapfile -t COMPREPLY < <(compgen -W "all self $(ip netns list 2>/dev/null | cut -d' ' -f1)" -- "$current") ;;
    --columns) _listenq_top_list "$current" "$(_listenq_top_fields)" ;;
    --sort)
      mapfile -t COMPREPLY < <(compgen -W "$(_listenq_top_fields)" -- "$current")
      compopt -o nospace
      ;;
    --list-fields) mapfile -t COMPREPLY < <(compgen -W 'text md' -- "$current") ;;
    --web.config.file | record | replay) compopt -o default ;;
    -n | --count | -d | --delay | --filter | --include | --exclude | --no-feature | --max-listeners | \
      --web.listen-address | --web.telemetry-path) ;;
    *)
      case $command in
        '') mapfile -t COMPREPLY < <(compgen -W "$general serve record replay" -- "$current") ;;
        serve) mapfile -t COMPREPLY < <(compgen -W "$general $serve" -- "$current") ;;
        *) mapfile -t COMPREPLY < <(compgen -W "$general" -- "$current") ;;
      esac
      ;;
  esac
}

complete -F _listenq_top listenq-top
