#!/usr/bin/env bash
# Runs the cluster of docker-compose.yml as plain processes on this machine: Redis, the
# nodes, the load balancer and, with --prometheus, Prometheus. It uses the same
# configuration files. All files are in a temporary directory, which is removed on exit.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
  cat <<'USAGE'
usage: scripts/cluster.sh [options] [-- flags for "stoa serve"]

  --nodes NUMBER         number of nodes (3)
  --base-port PORT       the load balancer's port; the others follow it (8080)
  --free-ports           use free ports instead
  --load-balancer NAME   haproxy or nginx (haproxy)
  --prometheus           also start Prometheus
  --drain-timeout TIME   drain timeout of the nodes (10s)

Ctrl-C stops all processes. The script prints their process IDs, so each can be stopped
alone; SIGUSR1 to the script restarts stopped processes.
USAGE
}

fail() {
  echo "cluster.sh: $*" >&2
  exit 1
}

nodes=3
base_port=8080
free_ports=no
balancer=haproxy
with_prometheus=no
drain_timeout=10s
while [ "$#" -gt 0 ]; do
  case $1 in
    --nodes) nodes=${2:?--nodes needs a number}; shift ;;
    --base-port) base_port=${2:?--base-port needs a port}; shift ;;
    --free-ports) free_ports=yes ;;
    --load-balancer) balancer=${2:?--load-balancer needs a name}; shift ;;
    --prometheus) with_prometheus=yes ;;
    --drain-timeout) drain_timeout=${2:?--drain-timeout needs a duration}; shift ;;
    --help | -h) usage; exit 0 ;;
    --) shift; break ;;
    *) usage >&2; exit 2 ;;
  esac
  shift
done
serve_flags=("$@")
[[ $nodes =~ ^[1-9][0-9]?$ ]] || fail "--nodes $nodes: want 1 to 99"
[[ $base_port =~ ^[0-9]+$ ]] || fail "--base-port $base_port: want a port"
[[ $balancer = haproxy || $balancer = nginx ]] || fail "--load-balancer $balancer: want haproxy or nginx"

program=${STOA_PROGRAM:-bin/stoa}
needed=(redis-server "$balancer")
[ "$with_prometheus" = no ] || needed+=(prometheus)
# Debian installs haproxy and nginx in folders that only root has in PATH.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
for name in "${needed[@]}"; do
  command -v "$name" >/dev/null || fail "$name is not installed; make install installs all but Prometheus"
done
[ -x "$program" ] || fail "$program does not exist; run make build"

# --- ports ---------------------------------------------------------------------

taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# block_is_free PORT succeeds if PORT and the ports after it are free.
block_is_free() {
  local port
  for ((port = $1; port < $1 + nodes + 4; port++)); do
    ! taken "$port" || return 1
  done
}

if [ "$free_ports" = yes ]; then
  # These are below the ports that systems choose for outgoing connections.
  for _ in {1..50}; do
    base_port=$((10000 + RANDOM % 20000))
    ! block_is_free "$base_port" || break
  done
fi
block_is_free "$base_port" || fail "a port from $base_port to $((base_port + nodes + 3)) is in use; try --free-ports"
node_port() { echo $((base_port + $1)); }
redis_port=$((base_port + nodes + 1))
inside_port=$((base_port + nodes + 2))
prometheus_port=$((base_port + nodes + 3))

# --- processes -----------------------------------------------------------------

directory=$(mktemp -d "${TMPDIR:-/tmp}/stoa-cluster.XXXXXX")
# If root starts nginx, its workers run as another user.
chmod 755 "$directory"
order=()
declare -A commands pids reported

# define NAME COMMAND... adds a process to the cluster.
define() {
  local name=$1
  shift
  order+=("$name")
  commands[$name]=$(printf '%q ' "$@")
}

start() {
  eval "exec_in_background $1 ${commands[$1]}"
  reported[$1]=no
}

exec_in_background() {
  local name=$1
  shift
  "$@" >>"$directory/$name.log" 2>&1 &
  pids[$name]=$!
  echo "$!" >"$directory/$name.pid"
}

runs() { [ -n "${pids[$1]:-}" ] && kill -0 "${pids[$1]}" 2>/dev/null; }

stop_all() {
  local name tries
  trap '' INT TERM HUP USR1
  for name in "${order[@]}"; do
    ! runs "$name" || kill -TERM "${pids[$name]}" 2>/dev/null || true
  done
  # Nodes without clients exit immediately.
  for ((tries = 0; tries < 150; tries++)); do
    any_runs || break
    sleep 0.1
  done
  for name in "${order[@]}"; do
    ! runs "$name" || kill -KILL "${pids[$name]}" 2>/dev/null || true
  done
  wait || true
  rm -rf "$directory"
}

any_runs() {
  local name
  for name in "${order[@]}"; do
    ! runs "$name" || return 0
  done
  return 1
}

trap stop_all EXIT
trap 'exit 130' INT
trap 'exit 0' TERM HUP

# --- configuration -------------------------------------------------------------

# render FILE prints the file with local addresses. A line for node1 becomes one for
# each node; the lines for the other nodes are dropped. On loopback addresses the nodes
# serve metrics on their only port.
render() {
  awk -v nodes="$nodes" -v base="$base_port" -v inside="$inside_port" '
    /node1:(8080|9090)/ {
      for (i = 1; i <= nodes; i++) {
        line = $0
        sub(/node1:(8080|9090)/, "127.0.0.1:" (base + i), line)
        gsub(/node1/, "node" i, line)
        print line
      }
      next
    }
    /node[0-9]+:(8080|9090)/ { next }
    { sub(/bind :8080/, "bind 127.0.0.1:" base); sub(/bind :8404/, "bind 127.0.0.1:" inside) }
    { sub(/listen 8080/, "listen 127.0.0.1:" base); sub(/balancer:8404/, "127.0.0.1:" inside) }
    # Only root may use these paths and limits.
    /fd-hard-limit|worker_rlimit_nofile/ { next }
    { sub(/worker_connections 200000/, "worker_connections 2000") }
    /^http \{/ {
      print
      count = split("client_body proxy fastcgi uwsgi scgi", kinds, " ")
      for (i = 1; i <= count; i++) printf "    %s_temp_path %s/%s;\n", kinds[i], directory, kinds[i]
      next
    }
    { print }
  ' directory="$directory" "$1"
}

define redis redis-server deploy/redis/redis.conf --bind 127.0.0.1 --port "$redis_port" --dir "$directory"
for ((i = 1; i <= nodes; i++)); do
  define "node$i" "$program" serve --listen "127.0.0.1:$(node_port "$i")" --node-id "node$i" \
    --advertise "127.0.0.1:$(node_port "$i")" --trusted-proxy 127.0.0.1 --redis "redis://127.0.0.1:$redis_port" \
    --drain-timeout "$drain_timeout" "${serve_flags[@]}"
done
case $balancer in
  haproxy)
    render deploy/haproxy/haproxy.cfg >"$directory/haproxy.cfg"
    define balancer haproxy -db -f "$directory/haproxy.cfg"
    ;;
  nginx)
    render deploy/nginx/nginx.conf >"$directory/nginx.conf"
    define balancer nginx -p "$directory" -c nginx.conf -e stderr -g "daemon off; pid $directory/nginx.pid;"
    ;;
esac
if [ "$with_prometheus" = yes ]; then
  render deploy/prometheus/prometheus.yml >"$directory/prometheus.yml"
  cp deploy/prometheus/alerts.yml "$directory/"
  define prometheus prometheus --config.file "$directory/prometheus.yml" \
    --storage.tsdb.path "$directory/prometheus" --web.listen-address "127.0.0.1:$prometheus_port"
fi

# --- life ----------------------------------------------------------------------

# answers PORT PATH succeeds if the server answers with status 200.
answers() {
  local status
  status=$(
    exec 2>/dev/null
    exec 3<>"/dev/tcp/127.0.0.1/$1" || exit 1
    printf 'GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' "$2" >&3
    read -r -t 3 line <&3 && echo "$line"
  ) || return 1
  [[ $status = "HTTP/1.1 200"* ]]
}

# await NAME COMMAND... waits until the command succeeds, or prints the log and fails.
await() {
  local name=$1 tries
  shift
  for ((tries = 0; tries < 100; tries++)); do
    ! "$@" || return 0
    runs "$name" || break
    sleep 0.1
  done
  sed "s/^/$name: /" "$directory/$name.log" >&2
  fail "$name did not start"
}

# restart restarts stopped processes.
restart() {
  local name
  for name in "${order[@]}"; do
    if ! runs "$name"; then
      start "$name"
      echo "$name restarted, process ${pids[$name]}"
    fi
  done
}

start redis
await redis taken "$redis_port"
for ((i = 1; i <= nodes; i++)); do
  start "node$i"
done
for ((i = 1; i <= nodes; i++)); do
  await "node$i" answers "$(node_port "$i")" /readyz
done
start balancer
await balancer answers "$base_port" /readyz
[ "$with_prometheus" = no ] || start prometheus
trap restart USR1

line() { printf '%-12s %-38s process %s\n' "$1" "$2" "${pids[$1]}"; }
line balancer "http://127.0.0.1:$base_port/ ws://127.0.0.1:$base_port/ws"
for ((i = 1; i <= nodes; i++)); do
  line "node$i" "http://127.0.0.1:$(node_port "$i")/"
done
line redis "redis://127.0.0.1:$redis_port"
[ "$balancer" != haproxy ] || printf '%-12s %s\n' state "http://127.0.0.1:$inside_port/"
[ "$with_prometheus" = no ] || line prometheus "http://127.0.0.1:$prometheus_port/"
printf '%-12s %s\n' directory "$directory"
echo "The cluster is ready. Ctrl-C stops it; kill -USR1 $$ restarts stopped processes."

while any_runs; do
  # wait also returns on a signal, when possibly no process has exited.
  wait -n || true
  for name in "${order[@]}"; do
    if ! runs "$name" && [ "${reported[$name]}" = no ]; then
      reported[$name]=yes
      echo "$name has exited"
    fi
  done
done
