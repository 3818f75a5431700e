# lib.sh
#	  What test/all, test/demo and test/bench/run share: packages, a private
#	  copy of PostgreSQL, an unprivileged user, and leaving nothing behind.
#
# Sourced by POSIX sh scripts.  A script runs twice.  The outer run, as root
# or as a user with sudo, installs missing packages, copies PostgreSQL and
# this tree to a temporary directory and starts the inner run there, as an
# unprivileged user since PostgreSQL refuses root.  Nothing is installed into
# the system and the checkout is not written to.
#
# Variables that a caller may set:
#	  PG_MAJOR		PostgreSQL's major version (default: the newest installed,
#					else the release's own)
#	  LA_KEEP		non-empty: keep the temporary directory
#	  LA_TMP		where to make the temporary directory (default /tmp)
#
# What the inner run finds:
#	  LA_WORK		the temporary directory
#	  LA_SRC		the copy of this tree, where the inner run starts
#	  LA_ROOT		the private root with PostgreSQL and, after LaBuild, us
#	  LA_BINDIR		PostgreSQL's programs in it; PG_CONFIG is its pg_config

LaSay()
{
	printf '%s\n' "$*"
}

LaDie()
{
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# Runs a command as root: directly, or by sudo where there is one.
LaAsRoot()
{
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null 2>&1; then
		if [ -t 0 ]; then sudo "$@"; else sudo -n "$@"; fi
	else
		return 1
	fi
}

LaInstalled()
{
	case $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) in
		installed) return 0 ;;
		*) return 1 ;;
	esac
}

# Prints those of the packages that are not installed.
LaMissing()
{
	command -v dpkg-query >/dev/null 2>&1 || return 0
	for package in "$@"; do
		LaInstalled "$package" || printf '%s ' "$package"
	done
}

# The newest major version whose server and headers are both here, or nothing.
LaInstalledMajor()
{
	for dir in /usr/lib/postgresql/*/; do
		major=${dir#/usr/lib/postgresql/}
		major=${major%/}
		if [ -x "$dir/bin/postgres" ] && [ -f "$dir/lib/pgxs/src/makefiles/pgxs.mk" ]; then
			echo "$major"
		fi
	done | sort -n | tail -n 1
}

# The major version that the release's package "postgresql" stands for.
LaReleaseMajor()
{
	apt-cache depends postgresql 2>/dev/null |
		sed -n 's/.*Depends: postgresql-\([0-9][0-9]*\)$/\1/p' | head -n 1
}

LaAptGet()
{
	LaAsRoot env DEBIAN_FRONTEND=noninteractive apt-get \
		-o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 \
		-qq -y --no-install-recommends "$@"
}

# Debian's packages create a cluster and start services when they are
# installed; a test machine wants neither.  Both switches are put back.
LaInstall()
{
	cluster_conf=/etc/postgresql-common/createcluster.conf
	policy=/usr/sbin/policy-rc.d
	made_policy=
	changed_conf=
	if [ ! -e $policy ]; then
		printf '#!/bin/sh\nexit 101\n' | LaAsRoot tee $policy >/dev/null &&
			LaAsRoot chmod 755 $policy && made_policy=1
	fi
	if ! LaInstalled "postgresql-$PG_MAJOR" && LaAptGet install postgresql-common >&2; then
		LaAsRoot cp -p $cluster_conf $cluster_conf.llm_audit &&
			LaAsRoot sed -i 's/^#* *create_main_cluster *=.*/create_main_cluster = false/' $cluster_conf &&
			changed_conf=1
	fi
	LaAptGet install "$@" >&2
	status=$?
	[ -z "$changed_conf" ] || LaAsRoot mv $cluster_conf.llm_audit $cluster_conf
	[ -z "$made_policy" ] || LaAsRoot rm -f $policy
	return $status
}

# LaPackages NEEDED... [-- WELCOME...]: installs what is missing; MAJOR in
# postgresql-MAJOR-* stands for PostgreSQL's major version.  Without
# access to apt it goes on, and fails later where something really lacks.
LaPackages()
{
	if ! command -v apt-get >/dev/null 2>&1; then
		PG_MAJOR=${PG_MAJOR:-$(LaInstalledMajor)}
		[ -n "$PG_MAJOR" ] || LaDie "no PostgreSQL found below /usr/lib/postgresql"
		return 0
	fi
	updated=
	PG_MAJOR=${PG_MAJOR:-$(LaInstalledMajor)}
	if [ -z "$PG_MAJOR" ]; then
		PG_MAJOR=$(LaReleaseMajor)
		if [ -z "$PG_MAJOR" ]; then
			LaAptGet update >&2 && updated=1
			PG_MAJOR=$(LaReleaseMajor)
		fi
	fi
	[ -n "$PG_MAJOR" ] || LaDie "cannot tell which PostgreSQL to install; set PG_MAJOR"

	needed="postgresql-$PG_MAJOR postgresql-server-dev-$PG_MAJOR"
	welcome=
	into=needed
	for package in "$@"; do
		package=$(printf '%s' "$package" | sed "s/^postgresql-MAJOR/postgresql-$PG_MAJOR/")
		case $package in
			--) into=welcome ;;
			*) eval "$into=\"\$$into \$package\"" ;;
		esac
	done
	missing=$(LaMissing $needed $welcome)
	[ -n "$missing" ] || return 0
	if [ -z "$updated" ]; then
		LaAptGet update >&2 || LaSay "cannot update the package lists; going on" >&2
	fi
	missing=$(LaMissing $needed)
	for package in $(LaMissing $welcome); do
		[ -z "$(apt-cache madison "$package" 2>/dev/null)" ] || missing="$missing $package"
	done
	[ -n "$missing" ] || return 0
	LaSay "installing: $missing"
	LaInstall $missing || LaSay "could not install: $missing; going on" >&2
}

LaCheckPrograms()
{
	for program in "$@"; do
		command -v "$program" >/dev/null 2>&1 || LaDie "$program is missing"
	done
}

LaCheckPostgres()
{
	[ -x "/usr/lib/postgresql/$PG_MAJOR/bin/postgres" ] ||
		LaDie "PostgreSQL $PG_MAJOR is missing"
	[ -f "/usr/lib/postgresql/$PG_MAJOR/lib/pgxs/src/makefiles/pgxs.mk" ] ||
		LaDie "postgresql-server-dev-$PG_MAJOR is missing"
}

# Who runs the servers when we are root.
LaServerUser()
{
	for user in postgres nobody; do
		if id "$user" >/dev/null 2>&1; then
			echo "$user"
			return
		fi
	done
	LaDie "no unprivileged user to run PostgreSQL as"
}

# Copies PostgreSQL with its layout, so that its programs find their own
# libraries and files relative to themselves.
LaCopyPostgres()
{
	LA_ROOT=$LA_WORK/root
	for dir in lib/postgresql share/postgresql include/postgresql; do
		mkdir -p "$LA_ROOT/usr/$dir"
	done
	(cd / && tar -cf - --exclude='*/bitcode' --exclude='*/man' \
		"usr/lib/postgresql/$PG_MAJOR" "usr/share/postgresql/$PG_MAJOR" \
		usr/include/postgresql) | (cd "$LA_ROOT" && tar -xf -) ||
		LaDie "cannot copy PostgreSQL"
	LA_BINDIR=$LA_ROOT/usr/lib/postgresql/$PG_MAJOR/bin
}

# Copies the tree: what git would commit, or everything in an export.
LaCopyTree()
{
	LA_SRC=$LA_WORK/llm_audit
	mkdir -p "$LA_SRC"
	if git -C "$LA_TOP" -c safe.directory='*' rev-parse --git-dir >/dev/null 2>&1; then
		(cd "$LA_TOP" && git -c safe.directory='*' ls-files -z -co --exclude-standard --deduplicate |
			xargs -0 sh -c 'for f; do [ -e "$f" ] && printf "%s\0" "$f"; done' sh |
			tar -cf - --null -T -) | (cd "$LA_SRC" && tar -xf -)
	else
		(cd "$LA_TOP" && tar -cf - .) | (cd "$LA_SRC" && tar -xf -)
	fi || LaDie "cannot copy the tree"
	# Tests look for published vectors beside the project.
	[ ! -d "$LA_TOP/../shared" ] || ln -s "$(cd "$LA_TOP/../shared" && pwd)" "$LA_WORK/shared"
}

# Stops every server whose data directory is in the temporary directory.
LaStopServers()
{
	pids=
	for pidfile in $(find "$LA_WORK" -name postmaster.pid 2>/dev/null); do
		pid=$(head -n 1 "$pidfile" 2>/dev/null)
		case $(readlink "/proc/$pid/cwd" 2>/dev/null) in
			"$LA_WORK"/*) kill -QUIT "$pid" 2>/dev/null && pids="$pids $pid" ;;
		esac
	done
	for pid in $pids; do
		tries=0
		while kill -0 "$pid" 2>/dev/null && [ $tries -lt 100 ]; do
			sleep 0.1
			tries=$((tries + 1))
		done
	done
}

LaOuterExit()
{
	trap '' INT TERM HUP
	[ -z "$LA_CHILD" ] || kill -TERM "-$LA_CHILD" 2>/dev/null
	if [ -n "$LA_KEEP" ]; then
		LaSay "kept: $LA_WORK"
	else
		LaStopServers
		rm -rf "$LA_WORK"
	fi
}

# LaInner SCRIPT ARGS...: starts the inner run in a process group of its own,
# so that an interrupt reaches all of it, and ends with its exit status.
LaInner()
{
	script=$1
	shift
	become=
	if [ "$(id -u)" = 0 ]; then
		user=$(LaServerUser)
		chown -R "$user" "$LA_WORK"
		if command -v runuser >/dev/null 2>&1; then
			become="runuser -u $user --"
		else
			become="setpriv --reuid $user --regid $(id -g "$user") --clear-groups"
		fi
	fi
	for name in $(env | sed -n 's/^\(PG[A-Z]*\)=.*/\1/p'); do
		case $name in
			PG_*) ;;
			*) unset "$name" ;;
		esac
	done
	mkdir -p "$LA_WORK/tmp"
	chmod 1777 "$LA_WORK/tmp"
	cd "$LA_SRC" || exit 1
	setsid $become env LA_INNER=1 LA_WORK="$LA_WORK" LA_SRC="$LA_SRC" \
		LA_ROOT="$LA_ROOT" LA_BINDIR="$LA_BINDIR" PG_MAJOR="$PG_MAJOR" \
		LA_KEEP="$LA_KEEP" PG_CONFIG="$LA_BINDIR/pg_config" \
		HOME="$LA_WORK/tmp" TMPDIR="$LA_WORK/tmp" PATH="$LA_BINDIR:$PATH" \
		LC_ALL=C.UTF-8 TZ=UTC \
		sh "$LA_SRC/$script" "$@" </dev/null &
	LA_CHILD=$!
	wait "$LA_CHILD"
	status=$?
	LA_CHILD=
	exit $status
}

# LaEnter SCRIPT ARGS...: all of the outer run but the packages.
LaEnter()
{
	umask 022
	LA_WORK=$(mktemp -d "${LA_TMP:-/tmp}/llm_audit.XXXXXX") || exit 1
	chmod 755 "$LA_WORK"
	LA_CHILD=
	trap LaOuterExit EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	LaCheckPostgres
	LaCopyPostgres
	LaCopyTree
	LaInner "$@"
}

LaJobs()
{
	getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1
}

# Builds with warnings as errors and installs into the private root.
LaBuild()
{
	make -s -j "$(LaJobs)" WERROR=-Werror PG_CONFIG="$PG_CONFIG" &&
		make -s install PG_CONFIG="$PG_CONFIG"
}
