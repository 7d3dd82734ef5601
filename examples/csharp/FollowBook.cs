// FollowBook SEGMENT SYMBOL [RUNS]: keeps one instrument's whole book and prints its update id, best bid and
// best ask (price quantity, each) after every change of it, verified by the publisher's checksums. When the
// publisher ends it says how and goes over to the next one of that name; after RUNS publishers it ends.
//
// Over libmdp_shm, with the standard library alone, for Mono and .NET:
//   mcs FollowBook.cs
//   LD_LIBRARY_PATH=$(dirname "$(mdp --shm-library)") mono FollowBook.exe mdp BTCUSDT
using System;
using System.Runtime.InteropServices;
using System.Text;
using System.Threading;

[StructLayout(LayoutKind.Sequential)]
struct Level {
  public long Price;
  public long Quantity;
}

// The fields that are used here; the whole entry is as long as mdp_shm_size_of() says.
[StructLayout(LayoutKind.Explicit, Size = 512)]
struct Instrument {
  [FieldOffset(8)] public uint SymbolId;
  [FieldOffset(14)] public sbyte PriceExponent;
  [FieldOffset(15)] public sbyte QuantityExponent;
}

static class Native {
  const string Library = "libmdp_shm.so.1";
  public const int Ok = 0;
  public const int Bell = 3;  // how to wait: asleep, until the publisher rings
  public const int Bids = 0, Asks = 1;
  public const int EventType = 1, InstrumentType = 10;  // of mdp_shm_size_of()

  [DllImport(Library)] public static extern uint mdp_shm_abi_version();
  [DllImport(Library)] public static extern UIntPtr mdp_shm_size_of(int type);
  [DllImport(Library)] public static extern IntPtr mdp_shm_subscriber_new();
  [DllImport(Library)] public static extern void mdp_shm_subscriber_delete(IntPtr feed);
  [DllImport(Library)] public static extern int mdp_shm_open(IntPtr feed, string name);
  [DllImport(Library)] public static extern int mdp_shm_reattach(IntPtr feed);
  [DllImport(Library)] public static extern int mdp_shm_find(IntPtr feed, string symbol, out Instrument found);
  [DllImport(Library)] public static extern int mdp_shm_ended(int status);
  [DllImport(Library)] public static extern IntPtr mdp_shm_attach_status_text(int status);
  [DllImport(Library)] public static extern IntPtr mdp_shm_read_status_text(int status);
  [DllImport(Library)] public static extern IntPtr mdp_shm_decimal(byte[] text, long mantissa, sbyte exponent);
  [DllImport(Library)] public static extern IntPtr mdp_shm_keeper_new();
  [DllImport(Library)] public static extern void mdp_shm_keeper_delete(IntPtr book);
  [DllImport(Library)] public static extern void mdp_shm_keeper_verify(IntPtr book, int on);
  [DllImport(Library)] public static extern int mdp_shm_keeper_follow(IntPtr book, IntPtr feed, uint symbolId);
  [DllImport(Library)]
  public static extern int mdp_shm_keeper_wait(IntPtr book, IntPtr feed, IntPtr next, int how, long timeoutNs,
                                               long heartbeatLimitNs);
  [DllImport(Library)] public static extern int mdp_shm_keeper_usable(IntPtr book);
  [DllImport(Library)] public static extern ulong mdp_shm_keeper_update_id(IntPtr book);
  [DllImport(Library)]
  public static extern int mdp_shm_keeper_level(IntPtr book, int side, UIntPtr index, out Level level);
}

// A reader and the book it follows.
sealed class Follower : IDisposable {
  const long SecondNs = 1000000000;
  const long HeartbeatLimit = -1;  // what the segment's header asks for
  readonly IntPtr feed = Native.mdp_shm_subscriber_new();
  readonly IntPtr book = Native.mdp_shm_keeper_new();
  readonly IntPtr next;  // room for an event
  readonly string symbol;
  Instrument of;

  public Follower(string segment, string symbol) {
    if (Native.mdp_shm_abi_version() != 1 ||
        (long)Native.mdp_shm_size_of(Native.InstrumentType) != Marshal.SizeOf(typeof(Instrument)))
      throw new InvalidOperationException("libmdp_shm is of another version than this program");
    next = Marshal.AllocHGlobal((int)Native.mdp_shm_size_of(Native.EventType));
    this.symbol = symbol;
    Native.mdp_shm_keeper_verify(book, 1);
    int status = Native.mdp_shm_open(feed, segment);
    if (status != Native.Ok) throw new InvalidOperationException(Text(Native.mdp_shm_attach_status_text(status)));
  }

  public void Dispose() {
    Native.mdp_shm_keeper_delete(book);
    Native.mdp_shm_subscriber_delete(feed);
    Marshal.FreeHGlobal(next);
  }

  public bool Reattach() { return Native.mdp_shm_reattach(feed) == Native.Ok; }

  // Takes the book as it is now. A publisher that has just started may not list it yet: false.
  public bool Join() {
    return Native.mdp_shm_find(feed, symbol, out of) != 0 &&
           Native.mdp_shm_keeper_follow(book, feed, of.SymbolId) == Native.Ok;
  }

  // Prints until the publisher ends, and says how.
  public string Follow() {
    ulong last = 0;
    for (;;) {
      int status = Native.mdp_shm_keeper_wait(book, feed, next, Native.Bell, SecondNs, HeartbeatLimit);
      if (Native.mdp_shm_ended(status) != 0) return Text(Native.mdp_shm_read_status_text(status));
      ulong updateId = Native.mdp_shm_keeper_update_id(book);
      string bid = Best(Native.Bids), ask = Best(Native.Asks);
      if (updateId == last || Native.mdp_shm_keeper_usable(book) == 0 || bid == null || ask == null) continue;
      last = updateId;
      Program.Say(updateId + " " + bid + " " + ask);
    }
  }

  string Best(int side) {
    Level level;
    if (Native.mdp_shm_keeper_level(book, side, UIntPtr.Zero, out level) == 0) return null;
    return Decimal(level.Price, of.PriceExponent) + " " + Decimal(level.Quantity, of.QuantityExponent);
  }

  static string Decimal(long mantissa, sbyte exponent) {
    var text = new byte[160];
    Native.mdp_shm_decimal(text, mantissa, exponent);
    return Encoding.ASCII.GetString(text, 0, Array.IndexOf(text, (byte)0));
  }

  static string Text(IntPtr text) { return Marshal.PtrToStringAnsi(text); }
}

static class Program {
  public static void Say(string line) {
    Console.WriteLine(line);
    Console.Out.Flush();
  }

  // Tries every 50 ms for a minute.
  static bool WithinAMinute(Func<bool> attempt) {
    for (int tries = 0; tries < 1200; ++tries) {
      if (attempt()) return true;
      Thread.Sleep(50);
    }
    return false;
  }

  static void Run(string segment, string symbol, ulong runs) {
    using (var follower = new Follower(segment, symbol)) {
      for (ulong run = 0; run < runs; ++run) {
        if ((run > 0 && !WithinAMinute(follower.Reattach)) || !WithinAMinute(follower.Join))
          throw new InvalidOperationException(symbol + ": no publisher has it");
        Say("joined");
        Say(follower.Follow());
      }
    }
  }

  static int Main(string[] words) {
    ulong runs = ulong.MaxValue;
    if (words.Length < 2 || words.Length > 3 || (words.Length == 3 && !ulong.TryParse(words[2], out runs))) {
      Console.Error.WriteLine("usage: FollowBook SEGMENT SYMBOL [RUNS]");
      return 2;
    }
    try {
      Run(words[0], words[1], runs);
      return 0;
    } catch (InvalidOperationException error) {
      Console.Error.WriteLine("follow_book: " + words[0] + ": " + error.Message);
      return 1;
    }
  }
}
