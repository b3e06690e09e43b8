# SPDX-License-Identifier: Apache-2.0
#
# The screen of what happens now: an nginx in a network namespace of its own, first healthy, then
# stopped under load. What one must see is looked for without a key pressed. Root only. Sourced by
# tests/screen/run.
# shellcheck shell=bash disable=SC2154,SC2034,SC2046,SC2086,SC1007

server_netns=lq-screen-$$ client_netns=lq-screen-$$-c
address=192.0.2.1 port=8080 # of TEST-NET-1: on no other machine
nginx= loads=()

walk_live() {
  if ((EUID != 0)); then
    skip "live: needs root"
  elif ! command -v nginx >/dev/null; then
    skip "live: nginx is missing; 'sudo apt-get install nginx-light' brings it, and starts it as a service"
  else
    open_world
    walk_pages
    find_overflow 'started before' before 160x40
    find_overflow 'started into it' into 80x24
  fi
}

# --- The world ------------------------------------------------------------------------------------

in_server() { ip netns exec "$server_netns" "$@"; }

open_world() {
  ip netns add "$server_netns"
  ip netns add "$client_netns"
  ip -n "$server_netns" link add web type veth peer name web netns "$client_netns"
  ip -n "$server_netns" address add "$address/24" dev web
  ip -n "$client_netns" address add 192.0.2.2/24 dev web
  ip -n "$server_netns" link set web up
  ip -n "$client_netns" link set web up
}

# start_nginx: its counters begin at 0 with the socket, those of the namespace don't.
start_nginx() {
  mkdir -p "$work/nginx"
  cat >"$work/nginx/conf" <<END
daemon off;
user root;
worker_processes 2;
pid $work/nginx/pid;
error_log $work/nginx/log;
events { worker_connections 1024; }
http {
  access_log off;
  client_body_temp_path $work/nginx/body;
  proxy_temp_path $work/nginx/proxy;
  fastcgi_temp_path $work/nginx/fastcgi;
  uwsgi_temp_path $work/nginx/uwsgi;
  scgi_temp_path $work/nginx/scgi;
  server { listen $address:$port backlog=16; return 204; }
}
END
  ip netns exec "$server_netns" nginx -e "$work/nginx/log" -c "$work/nginx/conf" >"$work/nginx/out" 2>&1 &
  nginx=$!
  if ! poll 10 has_workers; then
    cat "$work/nginx/"{out,log} >&2 || true
    die 1 "nginx does not start"
  fi
}

workers() { cat "/proc/$nginx/task/$nginx/children" 2>/dev/null || true; }
has_workers() { [[ $(workers | wc -w) == 2 && -n $(in_server ss -Htln "sport = :$port") ]]; }
signal_nginx() { kill -s "$1" "$nginx" $(workers); }
# Its master ends the workers; only if it doesn't, all are killed.
has_ended() { ! jobs -pr | grep -qx "$nginx"; }
stop_nginx() {
  [[ -n $nginx ]] || return 0
  signal_nginx CONT 2>/dev/null || true
  kill -TERM "$nginx" 2>/dev/null || true
  poll 5 has_ended || signal_nginx KILL 2>/dev/null || true
  wait "$nginx" 2>/dev/null || true
  nginx=
}

# start_load PER_SECOND SECONDS
start_load() {
  ip netns exec "$client_netns" "$folder/load" "$address" "$port" "$@" &
  loads+=($!)
}
end_loads() {
  ((!${#loads[@]})) || kill "${loads[@]}" 2>/dev/null || true
  ((!${#loads[@]})) || wait "${loads[@]}" 2>/dev/null || true
  loads=()
}

close_world() {
  local name
  end_loads
  stop_nginx
  for name in "$server_netns" "$client_netns"; do
    [[ ! -e /run/netns/$name ]] || ip netns del "$name"
  done
}

# mib NAME: what the kernel has counted in the namespace.
mib() {
  in_server cat /proc/net/netstat | awk -v name="$1" '
    $1 == "TcpExt:" && !column { for (i = 2; i <= NF; i++) if ($i == name) column = i; next }
    $1 == "TcpExt:" { print $column }'
}

# --- Healthy: every page ---------------------------------------------------------------------------

# start_live SIZE [OPTION...]
start_live() {
  local window=$1
  shift
  open_terminal "$window" "$top" --netns "$server_netns" -d 1 "$@"
  poll 20 holds "^[ !] .*$address:$port .* nginx" || {
    fail "live: no table:"
    show_instead
  }
}

# page NAME REGEX...: all that the page must show, within three intervals.
page() {
  local name=$1
  shift
  if poll 5 holds "$@"; then
    pass "live $name"
    return
  fi
  fail "live $name: not all of it is there:"
  printf '    wanted: %s\n' "$@"
  show_instead
}

walk_pages() {
  start_nginx
  start_load 20 30
  start_live 160x40 --nic auto
  page table 'in trouble 0' 'SYN/s [1-9]' 'accepts/s [1-9]' 'sorted by trouble first' '^F1 Help'
  keys Space
  page frozen FROZEN
  keys Space
  page 'goes on' 'UTC$'
  keys Enter
  page detail "^$address:$port in netns $server_netns, nginx pid" 'The way of connections' 'accepted'
  keys NPage
  page 'detail, threads' 'Who holds it' 'nginx pid' 'ep_poll|epoll_wait'
  keys End
  page 'detail, end' 'Limits, and who sets them' 'tcp_max_syn_backlog'
  keys q e
  page events '^Events' 'no listener has lost anything'
  keys e n
  page interfaces '^Interfaces' "$server_netns +web +(xdp|tc) .* [1-9]"
  keys n x
  page cost '^Own cost' 'this process: [0-9.]+ % of a core' 'PROGRAM' '[0-9.]+ %$'
  keys x h
  page help 'listenq-top: help' '^Keys'
  keys h F2
  page columns '^Columns of the table' '\[x\] +ADDRESS:PORT'
  keys q t
  page tree 'tree by namespace' "netns $server_netns"
  keys t t t c
  page totals 'totals' 'ACCEPTS '
  keys b
  page baseline 'baseline [0-9:]{8}'
  keys b c w
  page wide 'ADDRESS:PORT'
  keys w z
  page 'idle ones hidden' 'idle ones hidden'
  keys z -
  page 'shorter interval' 'every 0.5 s'
  keys +
  page 'longer interval' 'every 1.0 s'
  keys '>'
  page 'sorted by a column' 'sorted by ADDRESS:PORT|sorted by PORT|sorted by NETNS'
  keys I '<'
  page 'trouble first again' 'sorted by trouble first'
  keys /
  line 8080
  page search 'search 8080'
  keys F3 N Escape @
  page 'no recording' '@ goes to a time in a recording; this is live'
  keys g
  resize_terminal 80x24
  page 'a small window' '^F1 Help .* Freeze' "$address:$port in netns"
  resize_terminal 160x40
  page 'a large window' '^F1 Help .* x Cost'
  keys f
  line 'process ~ nginx'
  page filter 'filter process ~ nginx'
  keys q
  ends_with 0 'live quit'
  end_loads
  stop_nginx
}

# --- Overflow: without a key -----------------------------------------------------------------------

clock_seconds() { # HH:MM:SS
  local hours minutes seconds
  IFS=: read -r hours minutes seconds <<<"$1"
  echo $((10#$hours * 3600 + 10#$minutes * 60 + 10#$seconds))
}
header_time() { grep -oE '[0-9:]{8} UTC' <<<"$shown" | sed 's/ UTC//;q'; }
has_overflowed() { (($(mib ListenOverflows) > $1)); }

# All that one looks for at 3 a.m.; sentences go over several lines where the window is narrow.
finds_overflow() {
  look
  sed -n 2p <<<"$shown" | grep -qE 'in trouble 1!' &&
    sed -n 6p <<<"$shown" | grep -qE "^! .*$address:$port .*(FULL|!!!).* nginx" &&
    grep -qE "^$address:$port in netns $server_netns, nginx pid $nginx " <<<"$shown" &&
    sentences | grep -qE ' ! LOSING .*since [0-9:]{8}.* refused at the (SYN|ACK)'
}
sentences() { tr '\n' ' ' <<<"$shown"; }

# check_delay SECONDS SINCE WHAT: by the time in the header, which is the sample's.
check_delay() {
  local took
  took=$(($(clock_seconds "$(header_time)") - $2))
  if ((took < 0)); then took=$((took + 86400)); fi # midnight
  if ((took <= $1)); then
    pass "live overflow, $3: found after $took s"
  else
    fail "live overflow, $3: found after $took s, two intervals are $1"
    show_instead
  fi
}

# Two samples: then the tool knows what is new.
knows_rates() { look && grep -qE '^SYN/s [0-9]' <<<"$shown"; }

# find_overflow WHAT before|into SIZE
find_overflow() {
  local what=$1 losses overflows first
  start_nginx
  losses=$(mib ListenDrops) overflows=$(mib ListenOverflows)
  if [[ $2 == before ]]; then
    start_live "$3"
    poll 5 knows_rates || fail "live overflow, $what: no rates"
  fi
  signal_nginx STOP
  start_load 40 10
  poll 10 has_overflowed "$overflows" || fail "live overflow, $what: nothing overflows"
  first=$(date -u +%T)
  if [[ $2 == into ]]; then
    start_live "$3"
    first=$(header_time)
  fi
  if poll 8 finds_overflow; then
    check_delay 2 "$(clock_seconds "$first")" "$what"
  else
    fail "live overflow, $what: the screen does not say it:"
    show_instead
  fi
  printf '%s\n' "$shown" >"$results/live-$2.txt"
  check_since "$2" "$first" "$what"
  resize_terminal 160x40
  keys Enter
  page "overflow, $what: detail" '^! LOSING' 'refused at the (SYN|ACK)' 'Who holds it' '^! +STOPPED in '
  printf '%s\n' "$shown" >"$results/live-$2-detail.txt"
  keys q
  wait "${loads[@]}" || true
  loads=()
  signal_nginx CONT
  check_end "$what" "$losses" "$overflows" "$2"
  keys q q
  ends_with 0 "live overflow, $what: quit"
  stop_nginx
}

# check_since before|into FIRST WHAT: an episode begins with the last sample without a loss.
check_since() {
  local said early wanted=before
  said=$(sentences | sed -n 's/.* ! LOSING .*since \([0-9:]\{8\}\( or before\)\?\).*/\1/p')
  [[ $said != *' or before' ]] || wanted=into
  early=$((($(clock_seconds "$2") - $(clock_seconds "${said%% *}") + 86400) % 86400))
  if [[ $1 == "$wanted" ]] && ((early <= 1)); then
    pass "live overflow, $3: since $said"
  else
    fail "live overflow, $3: since '$said', the first loss was at $2"
  fi
}

# check_end WHAT LOSSES OVERFLOWS before|into: the trouble is over, and the list of events has it.
check_end() {
  local what=$1 lost
  page "overflow, $what: over" 'in trouble 0'
  keys e
  poll 10 holds '^Events' '^  <?[0-9:]{8} +[0-9:]{8} ' || true # an episode ends 3 s after its last loss
  page "overflow, $what: events" \
    "^  <?[0-9:]{8} +[0-9:]{8} .* $address:$port +nginx $nginx .* +(SYN|ACK) full .* $server_netns\$"
  printf '%s\n' "$shown" >"$results/live-$4-events.txt"
  lost=$(awk '/nginx/ { for (i = 1; i <= NF; i++) if ($i == "nginx") { gsub(",", "", $(i + 2)); n += $(i + 2) } }
    END { print n + 0 }' <<<"$shown")
  local drops=$(($(mib ListenDrops) - $2)) overflowed=$(($(mib ListenOverflows) - $3))
  if [[ $4 == before ]] && ! ((lost == drops && lost == overflowed)); then
    fail "live overflow, $what: $lost losses in the events, the kernel counts $drops, $overflowed of them overflows"
    show_instead
  elif ((lost == 0 || lost > drops)); then # what was lost before the tool came is not in them
    fail "live overflow, $what: $lost losses in the events, the kernel counts $drops"
    show_instead
  else
    pass "live overflow, $what: $lost losses of the kernel's $drops"
  fi
}
