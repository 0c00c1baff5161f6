//! Bytes between the caller's standard streams and the container's, in bounded buffers.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::termios::isatty;

/// What may be on the way in one direction.
const BUFFER: usize = 32 * 1024;

/// The most that is written at once: a pipe that polls writable takes as much (`PIPE_BUF`)
/// without blocking. The caller's streams are shared with other programs and can't be made
/// non-blocking.
const CHUNK: usize = 4096;

/// What end-of-file is to a terminal in its usual mode: `^D`.
const END_OF_TRANSMISSION: u8 = 4;

/// One end of a flow.
#[derive(Debug)]
pub(crate) enum End {
    /// Of this process, non-blocking.
    Own(OwnedFd),
    /// A standard stream of the caller.
    Caller(BorrowedFd<'static>),
}

impl AsFd for End {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Own(fd) => fd.as_fd(),
            Self::Caller(fd) => fd.as_fd(),
        }
    }
}

/// One direction.
#[derive(Debug)]
pub(crate) struct Flow {
    from: Option<End>,
    to: Option<End>,
    buffer: Box<[u8]>,
    /// Read, and not yet written.
    start: usize,
    end: usize,
    /// Whether the reader is a terminal, which is told the end by a character.
    to_terminal: bool,
    /// Whether what was read last ends within a line.
    in_line: bool,
    /// Whether the writer is a terminal, whose end is EIO; elsewhere that is a failure. Asked at the
    /// beginning: one that was hung up says that it is none.
    from_hangs_up: bool,
    /// The same of the reader.
    to_hangs_up: bool,
    /// Whether nobody has the own terminal open now: whoever has it as theirs may open it again.
    is_deserted: bool,
    /// The byte that ends the session.
    escape: Option<u8>,
    is_output: bool,
}

/// What came of moving bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moved {
    /// Nothing to tell.
    Fine,
    /// The reader is gone; so is the flow.
    Broken,
    /// The escape key was typed.
    Escaped,
}

impl Flow {
    pub(crate) fn new(from: End, to: End) -> Self {
        Self {
            is_output: matches!(to, End::Caller(_)),
            from_hangs_up: isatty(&from),
            to_hangs_up: isatty(&to),
            is_deserted: false,
            from: Some(from),
            to: Some(to),
            buffer: vec![0; BUFFER].into_boxed_slice(),
            start: 0,
            end: 0,
            to_terminal: false,
            in_line: false,
            escape: None,
        }
    }

    /// A flow into a terminal inside.
    pub(crate) fn typed(from: End, to: End, escape: Option<u8>) -> Self {
        Self {
            to_terminal: true,
            escape,
            ..Self::new(from, to)
        }
    }

    /// What to poll for at the writer's end and at the reader's.
    pub(crate) fn interests(&self) -> [Option<(BorrowedFd<'_>, PollFlags)>; 2] {
        // a deserted terminal would tell that for ever
        let from = self
            .from
            .as_ref()
            .filter(|_| self.is_empty() && !self.is_deserted);
        // that its reader goes away is told of a pipe while nothing is to be written, too; a
        // terminal whose other end is closed would tell it for ever
        let to = self
            .to
            .as_ref()
            .filter(|to| !self.is_empty() || (matches!(to, End::Own(_)) && !self.to_terminal));
        let out = if self.is_empty() {
            PollFlags::empty()
        } else {
            PollFlags::OUT
        };
        [
            from.map(|end| (end.as_fd(), PollFlags::IN)),
            to.map(|end| (end.as_fd(), out)),
        ]
    }

    fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Moves what can be moved, given what poll said of the two ends.
    pub(crate) fn step(&mut self, from: PollFlags, to: PollFlags) -> io::Result<Moved> {
        let gone = PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL;
        if self.is_empty() && to.intersects(gone) && !self.to_terminal {
            return Ok(self.break_off());
        }
        if self.is_empty() && (self.is_deserted || from.intersects(PollFlags::IN | gone)) {
            let moved = self.fill()?;
            if moved == Moved::Escaped {
                return Ok(moved);
            }
        }
        if !self.is_empty() && to.intersects(PollFlags::OUT | gone) {
            return self.flush();
        }
        Ok(Moved::Fine)
    }

    /// Reads once.
    pub(crate) fn fill(&mut self) -> io::Result<Moved> {
        let Some(from) = &self.from else {
            return Ok(Moved::Fine);
        };
        self.is_deserted = false;
        match rustix::io::read(from, &mut *self.buffer) {
            // a directory given as input is empty
            Ok(0) | Err(Errno::ISDIR) => self.finish(),
            Err(Errno::IO) if self.from_hangs_up && matches!(from, End::Own(_)) => {
                self.is_deserted = true;
            }
            // the other end is closed
            Err(Errno::IO) if self.from_hangs_up => self.finish(),
            Ok(count) => {
                (self.start, self.end) = (0, count);
                self.in_line = self.buffer[count - 1] != b'\n';
                let typed = &self.buffer[..count];
                if let Some(at) = self
                    .escape
                    .and_then(|key| typed.iter().position(|b| *b == key))
                {
                    self.end = at;
                    return Ok(Moved::Escaped);
                }
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(Moved::Fine)
    }

    /// The writer has no more.
    fn finish(&mut self) {
        self.from = None;
        if self.to_terminal {
            // within a line the first one ends that line only
            let count = 1 + usize::from(self.in_line);
            self.buffer[..count].fill(END_OF_TRANSMISSION);
            (self.start, self.end) = (0, count);
        } else {
            self.to = None;
        }
    }

    /// Writes once.
    pub(crate) fn flush(&mut self) -> io::Result<Moved> {
        let Some(to) = &self.to else {
            return Ok(Moved::Fine);
        };
        let chunk = &self.buffer[self.start..self.end.min(self.start + CHUNK)];
        match rustix::io::write(to, chunk) {
            Ok(count) => self.start += count,
            Err(Errno::PIPE | Errno::CONNRESET) => return Ok(self.break_off()),
            Err(Errno::IO) if self.to_hangs_up => return Ok(self.break_off()),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(Moved::Fine)
    }

    /// The reader is gone. Closing the other end tells the writer.
    fn break_off(&mut self) -> Moved {
        self.from = None;
        self.to = None;
        (self.start, self.end) = (0, 0);
        Moved::Broken
    }

    /// Whether there is something that has to be written before the session is over.
    pub(crate) fn has_pending(&self) -> bool {
        self.to.is_some() && !self.is_empty()
    }

    /// How much that is.
    pub(crate) fn pending(&self) -> usize {
        self.end - self.start
    }

    /// Whether it is to be tried again: no poll tells when a terminal is opened anew.
    pub(crate) fn is_deserted(&self) -> bool {
        self.is_deserted
    }

    /// Whether it comes from the container.
    pub(crate) fn is_output(&self) -> bool {
        self.is_output
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::pipe::{PipeFlags, pipe_with};

    fn pipe() -> (OwnedFd, OwnedFd) {
        pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).unwrap()
    }

    const ALL: PollFlags = PollFlags::IN.union(PollFlags::OUT);

    #[test]
    fn a41_a_reader_that_does_not_read_holds_the_writer_up_and_no_more() {
        let (source, feed) = pipe();
        let (_stuck, sink) = pipe();
        let mut flow = Flow::new(End::Own(source), End::Own(sink));
        let mut accepted = 0;
        for _ in 0..1000 {
            accepted += rustix::io::write(&feed, &[7; 4096]).unwrap_or(0);
            flow.step(ALL, ALL).unwrap();
        }
        // two pipes and one buffer
        assert!(accepted <= 2 * 65536 + BUFFER, "{accepted}");
        assert!(flow.has_pending());
    }

    #[test]
    fn a56_a_reader_that_goes_breaks_the_flow() {
        let (source, feed) = pipe();
        let (reader, sink) = pipe();
        drop(reader);
        let mut flow = Flow::new(End::Own(source), End::Own(sink));
        rustix::io::write(&feed, b"x").unwrap();
        assert_eq!(
            flow.step(PollFlags::IN, PollFlags::OUT).unwrap(),
            Moved::Broken
        );
        assert!(!flow.has_pending());
        assert_eq!(rustix::io::write(&feed, b"y"), Err(Errno::PIPE));
    }

    #[test]
    fn the_end_of_the_writer_is_the_end_for_the_reader() {
        let (source, feed) = pipe();
        let (reader, sink) = pipe();
        let mut flow = Flow::new(End::Own(source), End::Own(sink));
        rustix::io::write(&feed, b"last").unwrap();
        drop(feed);
        flow.step(ALL, ALL).unwrap();
        flow.step(ALL, ALL).unwrap();
        assert!(!flow.has_pending());
        let mut read = [0; 10];
        assert_eq!(rustix::io::read(&reader, &mut read), Ok(4));
        assert_eq!(rustix::io::read(&reader, &mut read), Ok(0));
    }

    #[test]
    fn the_escape_key_ends_what_is_typed_before_it() {
        let (source, feed) = pipe();
        let (reader, sink) = pipe();
        let mut flow = Flow::typed(End::Own(source), End::Own(sink), Some(0x1d));
        rustix::io::write(&feed, b"ab\x1dcd").unwrap();
        assert_eq!(flow.step(ALL, ALL).unwrap(), Moved::Escaped);
        assert!(flow.has_pending());
        flow.flush().unwrap();
        let mut read = [0; 10];
        assert_eq!(rustix::io::read(&reader, &mut read), Ok(2));
        let mut plain = Flow::typed(End::Own(pipe().0), End::Own(pipe().1), None);
        assert_eq!(
            plain.step(PollFlags::empty(), PollFlags::empty()).unwrap(),
            Moved::Fine
        );
    }

    #[test]
    fn a_terminal_is_told_the_end_by_a_character() {
        let (source, feed) = pipe();
        let (reader, sink) = pipe();
        let mut flow = Flow::typed(End::Own(source), End::Own(sink), None);
        drop(feed);
        flow.step(ALL, ALL).unwrap();
        let mut read = [0; 10];
        assert_eq!(rustix::io::read(&reader, &mut read), Ok(1));
        assert_eq!(read[0], END_OF_TRANSMISSION);
    }

    /// Reading at 0 is EIO: nothing is ever mapped there.
    fn broken() -> OwnedFd {
        let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CLOEXEC;
        rustix::fs::open("/proc/self/mem", flags, rustix::fs::Mode::empty()).unwrap()
    }

    #[test]
    fn a_source_that_breaks_is_not_at_its_end() {
        let (_reader, sink) = pipe();
        let mut flow = Flow::new(End::Own(broken()), End::Own(sink));
        let error = flow.step(ALL, ALL).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EIO));
    }

    #[test]
    fn output_that_can_not_be_written_has_not_lost_its_reader() {
        let (source, feed) = pipe();
        rustix::io::write(&feed, b"x").unwrap();
        let mut flow = Flow::new(End::Own(source), End::Own(broken()));
        let error = flow.step(ALL, ALL).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EIO));
    }

    #[test]
    fn after_an_unfinished_line_the_first_end_is_that_of_the_line() {
        for (typed, ends) in [(&b"line\n"[..], 1), (b"line\nrest", 2)] {
            let (source, feed) = pipe();
            let (reader, sink) = pipe();
            let mut flow = Flow::typed(End::Own(source), End::Own(sink), None);
            rustix::io::write(&feed, typed).unwrap();
            drop(feed);
            flow.step(ALL, ALL).unwrap();
            flow.step(ALL, ALL).unwrap();
            let mut read = [0; 20];
            let count = rustix::io::read(&reader, &mut read).unwrap();
            assert_eq!(
                read[..count],
                [typed, &[END_OF_TRANSMISSION; 2][..ends]].concat()
            );
        }
    }
}
