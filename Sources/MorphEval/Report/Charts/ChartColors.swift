/// Colours that people with any kind of colour vision tell apart; marks differ in shape as well.
package enum ChartColors {
    /// Okabe and Ito's palette, each colour in a darker shade for white paper and a lighter one for dark.
    private static let palette: [(light: String, dark: String)] = [
        ("#0072b2", "#56b4e9"), ("#d55e00", "#ff8c42"), ("#00815f", "#2fd3a5"), ("#a3467f", "#e39cc6"),
        ("#8a6d00", "#f0e442"), ("#2a2a2a", "#d0d0d0"), ("#3d6fd6", "#9db8ff"), ("#7a4a1e", "#d9a679"),
    ]

    /// The number of series after which colours begin again.
    package static let count = palette.count

    /// The class of an element of a series: `s0`, `s1`, …
    package static func className(_ index: Int) -> String { "s\(index % count)" }

    /// The rules for the classes.
    static let style: String = {
        func variables(_ shade: (offset: Int, element: (light: String, dark: String)), _ value: String) -> String {
            "--c\(shade.offset): \(value);"
        }
        let shades = Array(palette.enumerated())
        let light = shades.map { variables($0, $0.element.light) }.joined(separator: " ")
        let dark = shades.map { variables($0, $0.element.dark) }.joined(separator: " ")
        let classes = shades.map {
            "svg .s\($0.offset) { stroke: var(--c\($0.offset)); fill: var(--c\($0.offset)); }"
        }
        return """
            :root { \(light) }
            @media (prefers-color-scheme: dark) { :root { \(dark) } }
            \(classes.joined(separator: "\n"))
            svg .line { fill: none; stroke-width: 2; }
            svg text.name { stroke: none; font-size: 13px; }
            svg .whisker { stroke-width: 1.5; opacity: 0.6; }
            """
    }()

    /// The colour of a share from 0 to 1 on a scale from dark blue to yellow (cividis), and whether dark text is
    /// readable on it.
    package static func heat(_ share: Double) -> (color: String, isLight: Bool) {
        let stops: [(Double, Double, Double)] = [
            (0, 34, 78), (53, 69, 108), (102, 105, 112), (148, 142, 119), (200, 184, 102), (254, 232, 56),
        ]
        let place = min(max(share, 0), 1) * Double(stops.count - 1)
        let index = min(Int(place), stops.count - 2)
        let rest = place - Double(index)
        let (from, to) = (stops[index], stops[index + 1])
        func mix(_ a: Double, _ b: Double) -> Int { Int((a + (b - a) * rest).rounded()) }
        let (red, green, blue) = (mix(from.0, to.0), mix(from.1, to.1), mix(from.2, to.2))
        return ("rgb(\(red),\(green),\(blue))", share > 0.55)
    }
}
