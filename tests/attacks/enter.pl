# The pair of A09: enters a container by its first process, whose number is $ARGV[0], gives up all
# capabilities, and runs the bait there, itself no copy of the program.
# 434 is pidfd_open(2), 308 setns(2), 157 prctl(2) with PR_CAPBSET_DROP.
my $fd = syscall(434, $ARGV[0] + 0, 0);
syscall(308, $fd, 0x20020000) == 0 or die qq(setns: $!);
if (my $pid = fork) { waitpid($pid, 0); exit($? ? 1 : 0) }
syscall(157, 24, $_, 0, 0, 0) for 0 .. 40;
exec '/var/tmp/sh' or die qq(exec: $!);
