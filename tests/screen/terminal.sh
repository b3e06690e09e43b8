# SPDX-License-Identifier: Apache-2.0
#
# The terminal that tests/screen/run looks at: a tmux server of its own, with one pane. Keys and the
# mouse go in as bytes, the screen comes out as text. Sourced, never executed.
# shellcheck shell=bash disable=SC2154,SC2034,SC2046,SC2086,SC1007

deadline=5 # seconds that a screen may take
shown=     # the screen as it was captured last
size=      # of the window: 80x24

# Nothing of the caller's terminal, and none of the user's settings.
unset TMUX TMUX_PANE NO_COLOR COLUMNS LINES COLORTERM LISTENQ_TUI
export TMUX_TMPDIR=$work XDG_CONFIG_HOME=$work/config SHELL=/bin/sh TERM=xterm-256color

server=0 # each its own: one that ends may still hold its socket
pane() { tmux -L "$server" -f /dev/null "$@"; }
now() { echo "${EPOCHREALTIME/[.,]/}"; } # microseconds

# open_terminal WIDTHxHEIGHT COMMAND...: what COMMAND leaves of the terminal is in $work.
open_terminal() {
  local command
  size=$1
  shift
  server=$((server + 1))
  rm -f "$work"/{status,before,after}
  printf -v command '%q ' "$@"
  pane start-server \; set-option -g status off \; set-option -g remain-on-exit on \; \
    new-session -d -x "${size%x*}" -y "${size#*x}" \
    "trap : INT; echo 'the shell before'; stty -g >$work/before; $command; echo \$? >$work/status
     stty -g >$work/after; echo 'the shell after'; read nothing"
}

close_terminal() { pane kill-server >/dev/null 2>&1 || true; }

resize_terminal() {
  size=$1
  pane resize-window -x "${size%x*}" -y "${size#*x}"
}

# --- In -------------------------------------------------------------------------------------------

# keys KEY...: by the names of tmux; literally what it has no name for.
keys() { pane send-keys -- "$@"; }
text() { pane send-keys -l -- "$1"; }

# line TEXT: typed into the line at the bottom, and sent.
line() {
  text "$1"
  keys Enter
}

bytes() {
  local hex
  hex=$(printf '%b' "$1" | od -An -v -tx1)
  pane send-keys -H $hex
}

# click ROW COLUMN [TIMES]: both from 0, as the tool counts them.
click() {
  local one
  printf -v one '\\033[<0;%d;%dM\\033[<0;%d;%dm' $(($2 + 1)) $(($1 + 1)) $(($2 + 1)) $(($1 + 1))
  bytes "$one$([[ ${3:-1} == 1 ]] || echo "$one")"
}
wheel() { # up|down
  local button=64
  [[ $1 == up ]] || button=65
  bytes "\033[<$button;10;10M"
}

# --- Out ------------------------------------------------------------------------------------------

look() { shown=$(pane capture-pane -p | sed 's/ *$//'); }

# poll SECONDS COMMAND...: until it succeeds. The machine is left alone between two looks.
poll() {
  local until
  until=$(($(now) + $1 * 1000000))
  shift
  until "$@"; do
    (($(now) < until)) || return 1
    sleep 0.02
  done
}

shows() { look && [[ $shown == "$1" ]]; }
# holds REGEX...: each of them in some line.
holds() {
  local part
  look
  for part; do
    grep -qE -- "$part" <<<"$shown" || return 1
  done
}
show_instead() { sed 's/^/    /' <<<"$shown"; }

# For the update: no change for half a second, longer than any key takes.
settle() {
  local last= since
  since=$(now)
  while look && { [[ $shown != "$last" ]] || (($(now) - since < 500000)); }; do
    [[ $shown == "$last" ]] || since=$(now)
    last=$shown
    sleep 0.05
  done
}

declare -A updated=() wanted_files=()
previous= # the golden file before: a key that shows nothing new would prove nothing

story= # the recording that plays

# expect NAME: the screen is, or becomes, what the golden file of this name says.
expect() {
  local what=$story.$1.$size wanted=
  local file=$golden/$what.txt
  if [[ -n $update && -z ${updated[$what]:-} ]]; then # the first time; later it must be the same
    settle
    mkdir -p "$golden"
    printf '%s\n' "$shown" >"$file"
    updated[$what]=1
  fi
  wanted_files[$file]=1
  [[ ! -f $file ]] || wanted=$(<"$file")
  if [[ -z $wanted ]]; then
    fail "$what: no golden file (tests/screen/run --update writes it)"
  elif [[ $wanted == "$previous" ]]; then
    fail "$what: shows nothing new, so that the key is not tested"
  elif poll "$deadline" shows "$wanted"; then
    pass "$what"
  else
    fail "$what: differs (tests/screen/run --update, if that is wanted):"
    printf '%s\n' "$shown" >"$results/$what.txt"
    diff -u "$file" "$results/$what.txt" | sed 's/^/    /' || true
    deadline=1 # what follows may differ too
  fi
  previous=$wanted
}

# ends_with STATUS NAME: the program ended so, and the terminal is as it was before.
ends_with() {
  if ! poll "$deadline" test -s "$work/after"; then
    look
    fail "$2 $size: still runs:"
    show_instead
  elif [[ $(<"$work/status") != "$1" ]]; then
    look
    fail "$2 $size: exit status $(<"$work/status"), not $1:"
    show_instead
  elif ! cmp -s "$work/before" "$work/after"; then
    fail "$2 $size: the terminal's settings were $(<"$work/before"), are $(<"$work/after")"
  elif ! poll "$deadline" holds '^the shell before$' '^the shell after$' ||
    (($(grep -c . <<<"$shown") != 2)); then
    fail "$2 $size: the screen before is not back:"
    show_instead
  else
    pass "$2 $size"
  fi
  close_terminal
  previous=
}
