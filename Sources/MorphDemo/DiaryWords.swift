/// The words that the demo's prompts draw from: the lists of `Training/words.py`, in the same order.
enum DiaryWords {
    /// Those who keep diaries.
    static let names = words(
        """
        Ben Bo Cora Dan Earl Eli Elsa Emma Eva Finn Fred Gail Gina Gus Hana Jack Jan Joan Josef Kate Kim Lea \
        Lily Lina Lois Lola Luis Marie Max Mila Mona Nora Omar Paul Pia Rolf Rosa Ruth Sam Sten Sven Tara \
        Tess Tina Tom Una Vera Victor Viola Wanda Will Yara Zoe
        """)

    /// People of the instructions that hold for one week.
    static let guests = words(
        """
        Ada Alma Anna Arne Bea Bert Carl Celia Clara Dora Edda Ella Eric Felix Flora Greta Hans Helen Hugo \
        Ida Ines Ivan Jana Jonas Julia Karl Kurt Lars Lena Leo Lucy Mara Mark Martha Mia Nina Noah Olaf Olga \
        Otto Pedro Petra Rita Robin Sara Sofia Theo Ursula
        """)

    /// What they do.
    static let deeds = words(
        """
        marries moves retires returns graduates performs competes departs arrives resigns recovers preaches \
        lectures debuts auditions wins dances speaks emigrates testifies
        """)

    /// Where one stays for a run of weeks.
    static let towns = words(
        """
        Athens Berlin Bern Bonn Boston Bremen Cairo Crete Delhi Dublin Florence Geneva Ghent Hanoi Kyoto \
        Lima Lisbon London Madrid Milan Naples Oslo Paris Perth Porto Prague Riga Rome Seoul Sydney Tokyo \
        Venice Vienna Warsaw York Zurich
        """)

    /// What one does every so many weeks.
    static let topics = words(
        """
        pottery chess yoga piano Latin French German Spanish guitar violin choir drawing painting cooking \
        baking sewing knitting poetry drama ballet judo tennis rowing sailing climbing fencing swimming \
        weaving carving cello flute
        """)

    private static func words(_ text: String) -> [String] { text.split(separator: " ").map(String.init) }
}
