# SPDX-License-Identifier: Apache-2.0
#
# zsh -f complete.zsh FOLDER LINE: what Tab would offer at the end of LINE, one a line, with the completions in FOLDER.
# A second zsh in a terminal of its own completes; there compadd writes its matches instead of showing them.
# Called by tests/packaging/completions.sh.
zmodload zsh/zpty
zpty inner zsh -f -i
zpty -w inner "PROMPT= RPROMPT= PS2=; unsetopt zle_bracketed_paste 2>/dev/null; stty -echo"
zpty -w inner "fpath=(${(q)1} \$fpath); autoload -Uz compinit; compinit -u -D"
zpty -w inner '
compadd() {
  if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]]; then builtin compadd "$@"; return $?; fi
  local -a found
  builtin compadd -A found "$@"
  local match
  for match in "${found[@]}"; do print -r -- "<<$match>>"; done
  builtin compadd "$@"
}
zstyle ":completion:*" list-grouped false
complete-all() { print "<<<begin"; compinit-call; print "end>>>" }
functions[compinit-call]="_main_complete"
zle -C complete-all list-choices complete-all
bindkey "^X" complete-all
print rea""dy'
zpty -r inner line '*ready*' || exit 1
zpty -w -n inner "$2"$'\x18'
zpty -r inner line '*end>>>*' || exit 1
zpty -d inner
line=${line##*<<<begin}
print -r -- "$line" | tr -d '\r' | sed -n 's/.*<<\(.*\)>>.*/\1/p' | sort -u
