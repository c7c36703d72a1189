# Shared by test/run, test/demo and bench/: where things are, who runs the
# servers, and how everything that was started ends again.  Sourced by bash.
#
# PostgreSQL refuses to run as root.  Everything that a script starts works
# inside one directory, $work, that belongs to the user who runs the servers:
# so a process with its working directory there is ours, and no other is.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
debian_pg_config=/usr/lib/postgresql/15/bin/pg_config

die()
{
	echo "${0##*/}: $*" >&2
	exit 1
}

# Sets pg_config and bindir; the packages must be there.
find_postgres()
{
	pg_config=${PG_CONFIG:-}
	[ -n "$pg_config" ] || { [ -x $debian_pg_config ] && pg_config=$debian_pg_config; }
	[ -n "$pg_config" ] || pg_config=$(command -v pg_config) || die "no pg_config found"
	bindir=$("$pg_config" --bindir) || die "$pg_config does not work"
	export PG_CONFIG=$pg_config
}

# make_work NAME: sets work, a new directory of the user who runs the servers.
make_work()
{
	work=$(mktemp -d "${TMPDIR:-/tmp}/pgcluster-$1.XXXXXX")
	chmod 755 "$work"
	mkdir "$work/tmp"
	if [ "$(id -u)" = 0 ]; then
		getent passwd postgres >/dev/null || die "there is no user postgres to run servers as"
		chown -R postgres: "$work"
	fi
}

# as_user COMMAND...: runs it as the user who runs the servers, in $work.  It
# becomes the command's process, so that $! of "as_user ... &" is its id.
as_user()
{
	local env=(env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS -u XDG_RUNTIME_DIR
		"HOME=$work" "TMPDIR=$work/tmp" "PATH=$bindir:$PATH" LC_ALL=C.UTF-8)

	if [ "$(id -u)" = 0 ]; then
		(cd "$work" && exec setpriv --reuid=postgres --regid=postgres --init-groups \
			"${env[@]}" USER=postgres LOGNAME=postgres "$@")
	else
		(cd "$work" && exec "${env[@]}" "$@")
	fi
}

# Asks for a password only where somebody can give one.
as_root()
{
	if [ "$(id -u)" = 0 ]; then "$@"; elif [ -t 0 ]; then sudo "$@"; else sudo -n "$@"; fi
}

# install_from DIR: installs what was built there where pg_config says.
install_from()
{
	local libdir

	libdir=$("$pg_config" --pkglibdir)
	if [ -w "$libdir" ]; then
		make -s -C "$1" install PG_CONFIG="$pg_config"
	else
		as_root make -s -C "$1" install PG_CONFIG="$pg_config"
	fi
}

# copy_tree DIR: the sources as they are now, without what building left.
copy_tree()
{
	mkdir -p "$1"
	if git -C "$top" rev-parse --git-dir >/dev/null 2>&1; then
		(cd "$top" && git ls-files -z --cached --others --exclude-standard |
			while IFS= read -r -d '' f; do [ -e "$f" ] && printf '%s\0' "$f"; done |
			tar -c --null -T - -f -) | tar -x -C "$1" -f - --no-same-owner
	else
		(cd "$top" && tar -c --exclude='*.o' --exclude='*.bc' --exclude='*.so' \
			--exclude=./tmp_check --exclude=./.git -f - .) | tar -x -C "$1" -f - --no-same-owner
	fi
	[ "$(id -u)" != 0 ] || chown -R postgres: "$1"
}

# free_ports N: that many ports that nobody listens on now.
free_ports()
{
	perl -MIO::Socket::INET -e '
		my @s = map { IO::Socket::INET->new(LocalAddr => "127.0.0.1", Proto => "tcp", Listen => 1)
			or die "no free port: $!" } 1 .. $ARGV[0];
		print join(" ", map { $_->sockport } @s), "\n";' "$1"
}

# wait_until SECONDS COMMAND...: polls until the command succeeds.
wait_until()
{
	local end=$((SECONDS + $1))

	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.1
	done
}

# The processes that work in $work, this shell and its own ancestors left out.
our_processes()
{
	local pid cwd

	for pid in /proc/[0-9]*; do
		cwd=$(readlink "$pid/cwd" 2>/dev/null) || continue
		pid=${pid#/proc/}
		[ "$pid" != $$ ] && [ "$pid" != "$BASHPID" ] || continue
		case ${cwd% (deleted)} in "$work" | "$work"/*) echo "$pid" ;; esac
	done
}

no_process_left()
{
	[ -z "$(our_processes)" ]
}

# Ends what works in $work: parents of postmasters and postmasters by an
# immediate shutdown, the rest by force if that was not enough.
stop_our_processes()
{
	local pids

	pids=$(our_processes)
	[ -n "$pids" ] || return 0
	# A postmaster takes SIGQUIT for an immediate shutdown, all others end.
	# shellcheck disable=SC2086
	kill -QUIT $pids 2>/dev/null
	wait_until 5 no_process_left && return 0
	pids=$(our_processes)
	# shellcheck disable=SC2086
	[ -z "$pids" ] || kill -KILL $pids 2>/dev/null
	wait_until 5 no_process_left
}

# The end of a script that calls clean_up_at_exit: nothing runs on, and $work
# stays only if something failed.
finish()
{
	local status=$?

	trap - EXIT INT TERM HUP
	stop_our_processes || echo "processes left: $(our_processes | tr '\n' ' ')" >&2
	if [ $status = 0 ]; then rm -rf "$work"; else echo "${0##*/}: logs and results are in $work" >&2; fi
	exit $status
}

# After make_work.  A script may have a "finish" of its own.
clean_up_at_exit()
{
	trap finish EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
}
