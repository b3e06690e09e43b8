# SPDX-License-Identifier: Apache-2.0
#
# Every key and page of the help, over a recording: at its end all is fixed, so that each screen is
# compared with its golden file. Sourced by tests/screen/run.
# shellcheck shell=bash disable=SC2154,SC2034,SC2046,SC2086,SC1007

settings=$XDG_CONFIG_HOME/listenq-top/screen.conf

# start STORY SIZE [OPTION...]: at the end of the recording.
start() {
  local window=$2
  story=$1
  shift 2
  open_terminal "$window" "$top" replay "$root/tests/data/$story.lqrec" "$@"
  poll "$deadline" holds 'PLAYING|END' || {
    fail "start $story $size:"
    show_instead
  }
  keys @
  line end
}

saved() { [[ $(cat "$settings" 2>/dev/null) == *$'\n'"columns=$1" ]]; }
saved_is() {
  if poll "$deadline" saved "$1"; then
    pass "columns saved: ${1:-none} $size"
  else
    fail "columns saved $size: $(cat "$settings" 2>&1)"
  fi
}

walk_replay() {
  local file
  rm -f "$results"/*.txt
  [[ -z $update ]] || rm -f "$golden"/*.txt
  walk_incident 80x24
  walk_many_listeners 80x24
  walk_windows
  walk_ascii
  for file in "$golden"/*; do
    [[ -n ${wanted_files[$file]:-} ]] || fail "${file#"$root"/}: no screen is compared with it"
  done
  ((!${#updated[@]})) || echo "${#updated[@]} golden files written; read the difference before committing it"
}

# One listener in trouble, a few others: the story that most pages are looked at with.
walk_incident() {
  start incident "$1"
  expect table
  walk_detail
  walk_lists
  walk_columns
  walk_playback
  keys q
  ends_with 0 quit
  start incident "$1"
  walk_saved_columns
  keys F10
  ends_with 0 F10
}

# More than the window holds.
walk_many_listeners() {
  start overflow "$1"
  expect table
  walk_table
  walk_tree
  walk_lines
  walk_mouse
  keys C-c
  ends_with 0 Ctrl-C
}

walk_table() {
  keys j
  expect table-down
  keys NPage
  expect table-page-down
  keys End
  expect table-end
  keys k k
  expect table-up
  keys g
  expect table
  keys '>'
  expect sort-first
  keys F6
  expect sort-next
  keys I
  expect sort-inverted
  keys I '<' '<'
  expect table
  keys '<'
  expect sort-last
  keys '>'
  expect table
  keys c
  expect totals
  keys c
  expect table
  keys b
  expect baseline
  keys b c
  expect table
  keys z
  expect idle-hidden
  keys z
  expect table
  keys w
  expect wide
  keys Right Right Right
  expect wide-right
  keys Left Left Left w
  expect table
}

walk_tree() {
  keys t
  expect tree-netns
  keys g Enter
  expect tree-netns-folded
  keys Enter t
  expect tree-container
  keys F5
  expect tree-reuseport
  keys t
  expect table
}

walk_detail() {
  keys Enter
  expect detail
  keys NPage
  expect detail-page-2
  keys End
  expect detail-end
  keys Home Right
  expect detail-next
  keys Left
  expect detail
  keys q
  expect table
}

walk_lists() {
  keys e
  expect events
  keys Enter
  expect events-detail
  keys Escape
  expect events
  keys e n
  expect interfaces
  keys n x
  expect cost
  keys x h
  expect help
  keys NPage
  expect help-page-2
  keys G
  expect help-end
  keys h g
  expect table
}

walk_lines() {
  keys /
  text ngin
  expect search-typed
  text x
  keys Enter
  expect search
  keys F3
  expect search-next
  keys N
  expect search
  keys Escape /
  line no-such-name
  expect search-nothing
  keys Escape f
  line 'prot == 443'
  expect filter-wrong
  keys C-u
  line 'port == 443 and accept_queue_len > 2'
  expect filter
  keys F4 C-u Enter g
  expect table
}

# The arrow selects, Space toggles, < and > move, a: by the width again.
walk_columns() {
  keys F2
  expect columns
  keys Space
  expect columns-toggled
  keys '>'
  expect columns-moved
  keys q
  expect columns-table
  saved_is accept_queue,local,syn_queue,oldest_wait_seconds,drops_per_second,process
  keys F2 a
  expect columns
  keys q g
  expect table
  saved_is ''
}

walk_saved_columns() {
  expect columns-kept
  keys F2
  expect columns-own
  keys a q
  expect table
  saved_is ''
}

walk_mouse() {
  wheel down
  expect mouse-wheel
  wheel up
  keys g
  expect table
  click 6 10
  expect mouse-selected
  click 4 10
  expect mouse-sorted
  keys '<' '<' g
  click 5 10 2
  expect detail
  keys q
  expect table
  click 23 2
  expect help
  keys q
  expect table
}

walk_playback() {
  keys F2 j Space q # for the next start
  expect columns-without
  keys ,
  expect step-back
  keys .
  expect step-on # at the end, and paused
  keys @
  line 25:61
  expect seek-wrong
  keys C-u
  line start
  expect at-start
  keys @
  line +8s
  expect at-8s
  keys @
  line 12:00:30
  expect at-time
  keys @
  line -2s
  expect at-2s-before
  keys '[' '[' '[' '[' Space
  expect slow
  keys ']' ']' ']' ']' ']' ']' ']' ']' ']'
  expect columns-without
}

walk_windows() {
  rm -f "$settings"
  start incident 80x24
  expect table
  resize_terminal 120x40
  expect table
  keys Enter
  expect detail
  keys NPage
  expect detail-page-2
  keys q e
  expect events
  keys e n
  expect interfaces
  keys n x
  expect cost
  keys x h
  expect help
  keys h F2
  expect columns
  keys q
  expect table
  resize_terminal 60x15
  expect table
  resize_terminal 20x5
  expect table
  resize_terminal 200x50
  expect table
  keys Enter
  expect detail
  resize_terminal 80x24
  expect detail
  keys q q
  ends_with 0 'quit after resizes'
  start overflow 120x40
  expect table
  keys t t t
  expect tree-reuseport
  keys t w
  expect wide
  keys w q
  ends_with 0 'quit'
}

walk_ascii() {
  start incident 80x24 --ascii
  expect ascii-table
  keys Enter
  expect ascii-detail
  keys C-c
  ends_with 0 'Ctrl-C in the ascii screen'
}
