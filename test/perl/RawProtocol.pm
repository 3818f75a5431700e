# RawProtocol.pm
#	  A client that speaks protocol 3 by itself, since libpq cannot leave a
#	  portal suspended: Execute with a limit, other statements, then the rest.
package RawProtocol;

use strict;
use warnings;
use IO::Socket::UNIX;

# RawProtocol->new(NODE, DATABASE): connected by the node's unix socket, as
# whoever runs the test, who owns the node.
sub new
{
	my ($class, $node, $database) = @_;
	my $path = $node->host . '/.s.PGSQL.' . $node->port;
	my $socket = IO::Socket::UNIX->new(Type => SOCK_STREAM, Peer => $path)
	  or die "$path: $!";
	my $self = bless { socket => $socket }, $class;
	my $user = getpwuid($<);
	my $body = pack('N', 3 << 16) . "user\0$user\0database\0$database\0\0";
	syswrite($socket, pack('N', 4 + length $body) . $body);
	$self->read_until('Z');
	return $self;
}

sub put
{
	my ($self, $type, $body) = @_;
	my $message = $type . pack('N', 4 + length $body) . $body;
	syswrite($self->{socket}, $message) == length $message or die "write: $!";
	return;
}

sub read_bytes
{
	my ($self, $length) = @_;
	my $bytes = '';
	local $SIG{ALRM} = sub { die "the server does not answer\n" };
	while (length $bytes < $length)
	{
		alarm(60);
		sysread($self->{socket}, $bytes, $length - length $bytes, length $bytes)
		  or die 'the server has closed the connection';
		alarm(0);
	}
	return $bytes;
}

# read_until(TYPES): reads messages up to one of these types, or an error.
# Returns its type, with the first column of the rows and the error's SQLSTATE
# and message kept in the object.
sub read_until
{
	my ($self, $types) = @_;
	$self->{rows} = [];
	$self->{error} = '';
	while (1)
	{
		my ($type, $length) = unpack('aN', $self->read_bytes(5));
		my $body = $self->read_bytes($length - 4);
		if ($type eq 'D')
		{
			my ($columns, $size) = unpack('nN', $body);
			push @{ $self->{rows} }, substr($body, 6, $size);
		}
		elsif ($type eq 'E')
		{
			my %field = map { (substr($_, 0, 1), substr($_, 1)) } split /\0/, $body;
			$self->{error} = "$field{C} $field{M}";
			return $type if index($types, 'Z') < 0;
		}
		return $type if index($types, $type) >= 0;
	}
}

# query(SQL): a simple query; returns its error, or an empty string.
sub query
{
	my ($self, $sql) = @_;
	$self->put('Q', "$sql\0");
	$self->read_until('Z');
	return $self->{error};
}

# bind_portal(PORTAL, SQL): parses and binds; returns the error.  After an error
# the server ignores everything but a sync().
sub bind_portal
{
	my ($self, $portal, $sql) = @_;
	$self->put('P', "\0$sql\0" . pack('n', 0));
	$self->put('B', "$portal\0\0" . pack('nnn', 0, 0, 0));
	$self->put('H', '');
	$self->read_until('2');
	return $self->{error};
}

# execute(PORTAL, LIMIT): fetches so many rows, 0 for all.  Returns "suspended",
# "complete" or the error; the rows' first columns are in {rows}.
sub execute
{
	my ($self, $portal, $limit) = @_;
	$self->put('E', "$portal\0" . pack('N', $limit));
	$self->put('H', '');
	my $type = $self->read_until('sC');
	return $type eq 's' ? 'suspended' : $type eq 'C' ? 'complete' : $self->{error};
}

# close_portal(PORTAL)
sub close_portal
{
	my ($self, $portal) = @_;
	$self->put('C', "P$portal\0");
	$self->put('H', '');
	$self->read_until('3');
	return;
}

# sync(): ends the implicit transaction, if there is one; returns its error.
sub sync
{
	my ($self) = @_;
	$self->put('S', '');
	$self->read_until('Z');
	return $self->{error};
}

sub finish
{
	my ($self) = @_;
	$self->put('X', '');
	close($self->{socket});
	return;
}

1;
