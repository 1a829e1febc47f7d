/// The words that the prompts of logbooks draw from: the lists of `Training/logbook_words.py`, in the same order.
enum LogbookWords {
    /// Those who keep logbooks.
    static let names = words(
        """
        Ada Ben Clara Dan Elsa Finn Greta Hugo Ida Jonas Karl Lena Max Nora Otto Paul Rosa Sven Tara Ursula
        """)

    /// What the notes are about.
    static let goods = words(
        """
        tea salt coffee sugar flour rice oil wine beer milk butter cheese honey bread soap candles paper ink \
        pens books maps rope twine nails screws bolts tools hammers saws axes knives forks spoons plates \
        cups bowls pots pans kettles lamps wicks matches coal wood bricks tiles glass sand gravel cement \
        paint brushes varnish glue wax leather wool cotton silk linen felt lace yarn thread needles pins \
        buttons zips belts boots shoes socks gloves hats scarves coats shirts tents sacks crates barrels \
        boxes baskets bottles jars cans tins lids corks pipes hoses pumps valves gears wheels tyres springs \
        chains locks keys hinges doors windows shelves tables chairs benches beds sheets pillows blankets \
        towels curtains carpets mirrors clocks bells drums flutes violins pianos chess cards dice balls \
        kites sleds
        """)

    /// Where goods are from.
    static let towns = words(
        """
        Athens Berlin Bern Bonn Boston Bremen Cairo Crete Delhi Dublin Florence Geneva Ghent Hanoi Kyoto \
        Lima Lisbon London Madrid Milan Naples Oslo Paris Perth Porto Prague Riga Rome Seoul Sydney Tokyo \
        Venice Vienna Warsaw York Zurich
        """)

    /// People whom the logbook meets.
    static let guests = words(
        """
        Abel Agnes Alice Amos Anton Boris Bruno Cecil Chloe Cyril Daisy David Edith Edwin Elias Erna Esther \
        Fiona Frank Frida George Gerda Grace Harry Heidi Hilda Igor Irma Isaac Jacob James Jane Jens Judith \
        Klara Leon Linda Louis Lydia Magda Maria Moritz Nadia Nils Oliver Peter Philip Rachel
        """)

    /// Animals that learn to answer.
    static let animals = words(
        """
        fox owl bear wolf deer goat sheep horse donkey hare mouse frog toad snake crow eagle hawk swan goose \
        duck badger otter beaver lynx
        """)

    /// What is counted.
    static let tanks = words(
        """
        oak ash elm fir pine birch beech maple cedar willow poplar alder hazel holly ivy laurel larch rowan \
        spruce yew agate beryl copper flint garnet granite iron jasper lead marble mica nickel onyx opal \
        pearl quartz ruby slate tin topaz zinc zircon bronze chalk clay pyrite talc basalt
        """)

    private static func words(_ text: String) -> [String] { text.split(separator: " ").map(String.init) }
}
