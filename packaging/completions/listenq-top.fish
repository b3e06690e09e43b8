# SPDX-License-Identifier: Apache-2.0
#
# Completion of listenq-top for fish. Fields come from the program itself, everything else is listed here;
# tests/packaging/run holds the options against those that --help prints.

function __listenq_top_fields
    listenq-top --list-fields 2>/dev/null | string replace -r '^(\S+)\s+\S+\s+\S+\s+(.*)$' '$1\t$2'
end

# After the last comma.
function __listenq_top_list
    set -l begun (string match -r '^.*,' -- (commandline -ct))
    for word in $argv
        echo "$begun$word"
    end
end

function __listenq_top_columns
    __listenq_top_list (__listenq_top_fields)
end

function __listenq_top_interfaces
    __listenq_top_list none auto (command ls /sys/class/net 2>/dev/null)
end

function __listenq_top_namespaces
    printf '%s\n' all self
    ip netns list 2>/dev/null | string replace -r ' .*' ''
end

set -l serving '__fish_seen_subcommand_from serve'
set -l commands 'not __fish_seen_subcommand_from serve record replay'

complete -c listenq-top -f
complete -c listenq-top -n "$commands" -a serve -d 'Serve metrics for Prometheus'
complete -c listenq-top -n "$commands" -a record -d 'Write raw samples to a file'
complete -c listenq-top -n "$commands" -a replay -d 'Show what record wrote'
complete -c listenq-top -n '__fish_seen_subcommand_from record replay' -F

complete -c listenq-top -s h -l help -d 'Print the options'
complete -c listenq-top -l version -d 'Print the version'
complete -c listenq-top -s 1 -l once -d 'One table at once, then exit'
complete -c listenq-top -s b -l batch -d 'A table every interval'
complete -c listenq-top -s n -l count -x -d 'Stop after so many samples'
complete -c listenq-top -s d -l delay -x -d 'Seconds between samples'
complete -c listenq-top -l json -d JSON
complete -c listenq-top -l csv -d 'CSV with one header'
complete -c listenq-top -l columns -x -a '(__listenq_top_columns)' -d 'Fields to show'
complete -c listenq-top -l sort -x -a '(__listenq_top_fields)' -d 'Field to sort by'
complete -c listenq-top -l filter -x -d 'Only listeners that match'
complete -c listenq-top -l list-fields -a 'text md' -d 'Print every field with its meaning'
complete -c listenq-top -l netns -x -a '(__listenq_top_namespaces)' -d 'Network namespaces'
complete -c listenq-top -l nic -x -a '(__listenq_top_interfaces)' -d 'Count handshakes at interfaces'
complete -c listenq-top -l nic-mode -x -a 'auto xdp xdp-generic tc' -d How
complete -c listenq-top -l backend -x -a 'auto fentry kprobe portable iter diag' -d 'Way of reading'
complete -c listenq-top -l no-feature -x -d 'Do without features of the kernel'
complete -c listenq-top -l explain -d 'Print what feeds each field here'
complete -c listenq-top -l ascii -d 'Draw the screen with ASCII alone'

complete -c listenq-top -n "$serving" -l web.listen-address -x -d 'Where to listen'
complete -c listenq-top -n "$serving" -l web.telemetry-path -x -d 'Path of the metrics'
complete -c listenq-top -n "$serving" -l web.config.file -r -F -d 'TLS and users'
complete -c listenq-top -n "$serving" -l web.reuseport-members -d 'A series for each member of a reuseport group'
complete -c listenq-top -n "$serving" -l max-listeners -x -d 'The most that are told'
complete -c listenq-top -n "$serving" -l include -x -d 'Tell only listeners that match'
complete -c listenq-top -n "$serving" -l exclude -x -d 'Tell no listener that matches'
complete -c listenq-top -n "$serving" -l program-times -d "Keep the kernel's BPF statistics on"
