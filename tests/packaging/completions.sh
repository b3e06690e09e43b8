# SPDX-License-Identifier: Apache-2.0
#
# The part `completions` of tests/packaging/run: each file is loaded by its shell and asked, as the Tab key does.
# shellcheck shell=bash

# Every option that stands in a file as one, `--long` or `-s` as in that shell's language.
options_in() { # SHELL
  case $1 in
    bash) sed -n "/^  local general=/,/^  COMPREPLY=/p" "$ours/completions/listenq-top.bash" | grep -oE -- '--?[a-z1][a-z.-]*' ;;
    zsh) sed -nE "/^(general|serve)=\(/,/^\)/p" "$ours/completions/_listenq-top" |
      sed -nE "s/^ *['\"](\([^)]*\))?(.*)/\2/p" | sed -E "s/\[.*//; s/^'?[{]//" | grep -oE -- '--?[a-z1][a-z.-]*' ;;
    fish) sed -nE 's/^complete .* -s (.) .*/-\1/p' "$ours/completions/listenq-top.fish"
      sed -nE 's/^complete .* -l ([a-z.-]+) .*/--\1/p' "$ours/completions/listenq-top.fish" ;;
  esac | sort -u
}

# bash_completes WORD...: what the last word, begun, can become.
bash_completes() {
  bash -c '
    compopt() { :; }
    complete() { :; }
    . "$0"
    COMP_WORDS=(listenq-top "$@") COMP_CWORD=$#
    _listenq_top
    printf "%s\n" "${COMPREPLY[@]}"' "$ours/completions/listenq-top.bash" "$@" | sort
}

fish_completes() { # LINE
  HOME=$work fish --no-config -c 'source $argv[1]; complete -C $argv[2]' "$ours/completions/listenq-top.fish" "$1" |
    cut -f1 | sort
}

# zsh has no way to ask but a terminal; it shows the choices itself.
zsh_completes() { # LINE
  HOME=$work zsh -f "$folder/complete.zsh" "$ours/completions" "$1" | sort
}

same() { [[ $1 == "$2" ]] || { diff <(echo "$2") <(echo "$1") && false; }; }

check_completions() {
  local shell backends=$'auto\ndiag\nfentry\niter\nkprobe\nportable' modes=$'auto\ntc\nxdp\nxdp-generic'
  local fields
  mkdir -p "$work/bin"
  ln -sf "$top" "$work/bin/listenq-top"
  local PATH=$work/bin:$PATH
  fields=$("$top" --list-fields | awk '{ print $1 }' | sort)
  for shell in bash zsh fish; do
    names "$shell completes all options and no other" "$(options_in "$shell")" "$both"
    if ! have "$shell"; then
      skip "$shell is missing"
      continue
    fi
    case $shell in
      bash)
        check "bash: general options" same "$(bash_completes -)" "$(sort <<<"$general")"
        check "bash: options of serve" same "$(bash_completes serve --web)" "$(grep '^--web' <<<"$serve")"
        check "bash: backends" same "$(bash_completes --backend '')" "$backends"
        check "bash: modes" same "$(bash_completes --nic-mode '')" "$modes"
        check "bash: fields" same "$(bash_completes --sort '')" "$fields"
        check "bash: fields after a comma" same "$(bash_completes --columns address,por)" address,port
        check "bash: interfaces" same "$(bash_completes --nic auto,l | grep -x auto,lo)" auto,lo
        ;;
      fish)
        check "fish: options of serve" same "$(fish_completes 'listenq-top serve --web')" "$(grep '^--web' <<<"$serve")"
        check "fish: no options of serve without it" same "$(fish_completes 'listenq-top --web')" ''
        check "fish: backends" same "$(fish_completes 'listenq-top --backend ')" "$backends"
        check "fish: modes" same "$(fish_completes 'listenq-top --nic-mode ')" "$modes"
        check "fish: fields" same "$(fish_completes 'listenq-top --sort ')" "$fields"
        check "fish: fields after a comma" same "$(fish_completes 'listenq-top --columns address,por')" address,port
        check "fish: commands" same "$(fish_completes 'listenq-top re')" $'record\nreplay'
        ;;
      zsh)
        check "zsh: options of serve" same "$(zsh_completes 'listenq-top serve --web')" "$(grep '^--web' <<<"$serve")"
        check "zsh: backends" same "$(zsh_completes 'listenq-top --backend ')" "$backends"
        check "zsh: modes" same "$(zsh_completes 'listenq-top --nic-mode ')" "$modes"
        check "zsh: fields" same "$(zsh_completes 'listenq-top --sort ')" "$fields"
        check "zsh: commands" same "$(zsh_completes 'listenq-top re')" $'record\nreplay'
        ;;
    esac
  done
}
